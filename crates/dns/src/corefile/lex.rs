//! Words of a Corefile (upstream: `caddyfile/lexer.go`).

/// One word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    /// The line that is to blame for it, from 1.
    pub(crate) line: usize,
    /// The row it starts in and the row it ends in: of words in the same row one follows the other in one line.
    pub(crate) row: usize,
    pub(crate) end: usize,
    /// It stood in quotes: a brace in quotes is text.
    pub(crate) quoted: bool,
}

impl Word {
    pub(super) fn is(&self, text: &str) -> bool {
        !self.quoted && self.text == text
    }
}

/// Cuts a text into words. They are separated by white space; one that begins with a quote ends with the next that no
/// backslash precedes; `#` begins a comment, which lasts to the end of the line.
pub(crate) fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let (mut line, mut chars) = (1, text.strip_prefix('\u{feff}').unwrap_or(text).chars().peekable());
    while let Some(first) = chars.next() {
        match first {
            '\n' => line += 1,
            '#' => while chars.next_if(|c| *c != '\n').is_some() {},
            '"' => words.push(quoted(&mut chars, &mut line)),
            c if c.is_whitespace() => {}
            c => {
                let mut word = String::from(c);
                // As upstream: a `#` within a word begins a comment, too.
                while let Some(c) = chars.next_if(|c| !c.is_whitespace() && *c != '#') {
                    word.push(c);
                }
                words.push(Word { text: word, line, row: line, end: line, quoted: false });
            }
        }
    }
    words
}

fn quoted(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, line: &mut usize) -> Word {
    let (start, mut text, mut escaped) = (*line, String::new(), false);
    for c in chars.by_ref() {
        *line += usize::from(c == '\n');
        match c {
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            '"' if !escaped => break,
            // Only quotes are escaped; elsewhere the backslash is text.
            c if escaped && c != '"' => text.extend(['\\', c]),
            c => text.push(c),
        }
        escaped = false;
    }
    Word { text, line: start, row: start, end: *line, quoted: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_quotes_and_comments() {
        let text = ". { # all\n  log\r\n answer \"{{ .Name }} \\\"x\\\" \\d\n y\" end\n}";
        let words = words(text);
        let found: Vec<_> = words.iter().map(|w| (w.text.as_str(), w.line, w.end)).collect();
        let answer = "{{ .Name }} \"x\" \\d\n y";
        assert_eq!(found, [(".", 1, 1), ("{", 1, 1), ("log", 2, 2), ("answer", 3, 3), (answer, 3, 4), ("end", 4, 4), ("}", 5, 5)]);
        assert!(words[4].quoted && !words[4].is("x"));
    }
}
