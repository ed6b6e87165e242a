//! The Corefile: server blocks with directives (upstream: caddy's `caddyfile`, CoreDNS' manual). Pure.
//!
//! What is not understood is refused with its line. Values from the environment (`{$NAME}`) are refused: who may write the
//! ConfigMap may not read this process's environment.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::limits::{BLOCKS, WORDS};

mod lex;
pub(crate) mod values;
pub(crate) mod zones;

pub(crate) use lex::Word;

/// Other keys of the ConfigMap, which are files in `/etc/coredns` to CoreDNS, and those of a second one, in `custom/` there.
pub(crate) type Files = BTreeMap<String, String>;

/// Where CoreDNS' manifests mount the ConfigMap.
pub(crate) const FOLDER: &str = "/etc/coredns/";

/// What is wrong with a Corefile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// From 1; 0 where no line is to blame.
    pub(crate) line: usize,
    pub(crate) why: String,
}

impl Fault {
    pub(crate) fn at(line: usize, why: impl Into<String>) -> Self {
        Fault { line, why: why.into() }
    }

    /// As caddy says that there are too many arguments, or too few.
    pub(crate) fn arguments(word: &Word) -> Self {
        Fault::at(word.line, format!("Wrong argument count or unexpected line ending after '{}'", word.text))
    }

    pub(crate) fn unknown(word: &Word) -> Self {
        Fault::at(word.line, format!("unknown property '{}'", word.text))
    }

    /// CoreDNS knows it.
    pub(crate) fn unsupported(word: &Word) -> Self {
        Fault::at(word.line, format!("property '{}' is not supported", word.text))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Corefile:{} - Error during parsing: {}", self.line, self.why)
    }
}

impl std::error::Error for Fault {}

/// One server block.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) keys: Vec<Word>,
    pub(crate) directives: Vec<Directive>,
}

/// One directive: its name, what follows in its line, and the lines of its block.
#[derive(Clone, Debug)]
pub(crate) struct Directive {
    pub(crate) name: Word,
    pub(crate) args: Vec<Word>,
    pub(crate) lines: Vec<Vec<Word>>,
}

/// Reads a Corefile into its server blocks.
pub(crate) fn blocks(text: &str, files: &Files) -> Result<Vec<Block>, Fault> {
    let words = checked(lex::words(text))?;
    let rows = words.last().map_or(0, |word| word.end);
    let mut reader = Reader { words, at: 0, snippets: HashMap::new(), files, taken: 0, rows };
    let mut blocks = Vec::new();
    while let Some(word) = reader.words.get(reader.at) {
        if word.is("import") {
            let line = word.line;
            reader.at += 1;
            reader.import(line)?;
            continue;
        }
        let block = reader.block()?;
        blocks.extend(block);
        if blocks.len() > BLOCKS {
            return Err(Fault::at(reader.line(), format!("more than {BLOCKS} server blocks")));
        }
    }
    Ok(blocks)
}

fn checked(words: Vec<Word>) -> Result<Vec<Word>, Fault> {
    if let Some(word) = words.iter().find(|w| w.text.contains("{$") || w.text.contains("{%")) {
        return Err(Fault::at(word.line, "values from the environment are not supported"));
    }
    match words.get(WORDS) {
        Some(word) => Err(Fault::at(word.line, format!("more than {WORDS} words"))),
        None => Ok(words),
    }
}

struct Reader<'a> {
    words: Vec<Word>,
    at: usize,
    snippets: HashMap<String, Vec<Word>>,
    files: &'a Files,
    /// Words that imports have added.
    taken: usize,
    /// Rows up to this one are taken.
    rows: usize,
}

impl Reader<'_> {
    fn line(&self) -> usize {
        self.words.get(self.at).or(self.words.last()).map_or(1, |w| w.line)
    }

    /// The next word, if it is in the same line as the one before.
    fn same_line(&mut self) -> Option<Word> {
        let before = self.at.checked_sub(1).and_then(|at| self.words.get(at))?;
        let next = self.words.get(self.at).filter(|next| next.row == before.end)?.clone();
        self.at += 1;
        Some(next)
    }

    fn next(&mut self) -> Result<Word, Fault> {
        let word = self.words.get(self.at).cloned().ok_or_else(|| Fault::at(self.line(), "Unexpected EOF"))?;
        self.at += 1;
        Ok(word)
    }

    /// A server block, or `None` for a snippet.
    fn block(&mut self) -> Result<Option<Block>, Fault> {
        let (mut keys, mut open) = (Vec::new(), false);
        while let Some(word) = self.words.get(self.at).cloned() {
            let another = keys.last().is_some_and(|k: &Word| k.text.ends_with(','));
            // The brace may be in the next line.
            if !keys.is_empty() && !another && !word.is("{") && self.words[self.at - 1].end != word.row {
                break;
            }
            self.at += 1;
            if word.is("{") {
                open = true;
                break;
            }
            keys.push(word);
        }
        for key in &mut keys {
            key.text.truncate(key.text.trim_end_matches(',').len());
        }
        let name = match &keys[..] {
            [key] => key.text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).map(|name| (key.line, name)),
            [] => return Err(Fault::at(self.line(), "Syntax error: a server block has no zone")),
            _ => None,
        };
        if let Some((line, name)) = name {
            let name = name.to_owned();
            self.snippet(line, name, open)?;
            return Ok(None);
        }
        let mut directives = Vec::new();
        while let Some(word) = self.words.get(self.at).cloned() {
            self.at += 1;
            match &word {
                word if word.is("}") && open => return Ok(Some(Block { keys, directives })),
                word if word.is("}") => return Err(Fault::at(word.line, "Unexpected '}' because no matching opening brace")),
                word if word.is("import") => self.import(word.line)?,
                _ => directives.push(self.directive(word)?),
            }
        }
        if open { Err(Fault::at(self.line(), "Unexpected EOF")) } else { Ok(Some(Block { keys, directives })) }
    }

    fn snippet(&mut self, line: usize, name: String, open: bool) -> Result<(), Fault> {
        if !open {
            return Err(Fault::at(line, "Syntax error: a snippet needs braces"));
        }
        let (mut depth, mut body) = (1, Vec::new());
        loop {
            let word = self.next()?;
            depth += usize::from(word.is("{"));
            depth -= usize::from(word.is("}"));
            if depth == 0 {
                break;
            }
            body.push(word);
        }
        match self.snippets.insert(name.clone(), body) {
            None => Ok(()),
            Some(_) => Err(Fault::at(line, format!("redeclaration of previously declared snippet {name}"))),
        }
    }

    /// Puts a snippet, or other keys of the ConfigMap, in the place of the line.
    fn import(&mut self, line: usize) -> Result<(), Fault> {
        let from = self.at - 1;
        let name = self.same_line().ok_or_else(|| Fault::at(line, "Import requires a non-empty filepath"))?;
        if self.same_line().is_some() {
            return Err(Fault::at(line, "Import takes only one argument (glob pattern or file)"));
        }
        let bodies = match self.snippets.get(&name.text) {
            Some(body) => vec![body.clone()],
            None => self.files(line, &name.text)?,
        };
        self.taken += bodies.iter().map(Vec::len).sum::<usize>() + 1;
        if self.taken > WORDS {
            return Err(Fault::at(line, "too much is imported"));
        }
        let mut body = Vec::new();
        for words in bodies {
            let (before, after) = (self.rows + 1, words.last().map_or(0, |word| word.end));
            body.extend(words.into_iter().map(|word| Word { row: word.row + before, end: word.end + before, ..word }));
            self.rows = before + after;
        }
        self.words.splice(from..self.at, body);
        self.at = from;
        Ok(())
    }

    /// The words of the keys that a path stands for. With a `*` in it, it may stand for none.
    fn files(&self, line: usize, path: &str) -> Result<Vec<Vec<Word>>, Fault> {
        let path = path.strip_prefix(FOLDER).unwrap_or(path);
        let read = |text: &String| -> Result<Vec<Word>, Fault> {
            // Whose line is to blame is the import's.
            let words = checked(lex::words(text)).map_err(|fault| Fault { line, ..fault })?;
            Ok(words.into_iter().map(|word| Word { line, ..word }).collect())
        };
        match path.split_once('*') {
            None => {
                let text = self.files.get(path);
                Ok(vec![read(text.ok_or_else(|| Fault::at(line, format!("File to import not found: {path}")))?)?])
            }
            Some((_, after)) if after.contains('*') => {
                let why = format!("Glob pattern may only contain one wildcard (*), but has others: {path}");
                Err(Fault::at(line, why))
            }
            Some((before, after)) => {
                let fits = |name: &str| {
                    let middle = name.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
                    middle.is_some_and(|middle| !middle.contains('/'))
                };
                self.files.iter().filter(|(name, _)| fits(name)).map(|(_, text)| read(text)).collect()
            }
        }
    }

    fn directive(&mut self, name: Word) -> Result<Directive, Fault> {
        let (mut args, mut lines) = (Vec::new(), Vec::new());
        while let Some(word) = self.same_line() {
            if word.is("{") {
                lines = self.lines()?;
                break;
            }
            if word.is("}") {
                // The block that it is in ends in the same line.
                self.at -= 1;
                break;
            }
            args.push(word);
        }
        Ok(Directive { name, args, lines })
    }

    fn lines(&mut self) -> Result<Vec<Vec<Word>>, Fault> {
        let mut lines: Vec<Vec<Word>> = Vec::new();
        loop {
            let word = self.next()?;
            let fresh = self.words.get(self.at.wrapping_sub(2)).is_none_or(|before| before.end != word.row);
            match lines.last_mut() {
                _ if word.is("}") => return Ok(lines),
                _ if word.is("{") => return Err(Fault::at(word.line, "Unexpected token '{', expecting argument")),
                _ if word.is("import") && fresh => self.import(word.line)?,
                Some(line) if !fresh => line.push(word),
                _ => lines.push(vec![word]),
            }
        }
    }
}

#[cfg(test)]
mod tests;
