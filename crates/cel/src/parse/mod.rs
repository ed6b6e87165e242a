//! From text to tree (upstream: cel-go `parser`).

mod expression;
mod lexer;
mod macros;
mod member;
mod unescape;

pub use macros::{ALL as MACROS, Macro};

use std::sync::Arc;

use crate::ast::{Ast, Id, Kind, Literal, Node};
use crate::limits;
use crate::source::{Issues, Location, Source};
use lexer::{Token, Word};

/// The names that loops gather their results in; the second is what older expressions may have written out.
pub(crate) const ACCUMULATOR: &str = "@result";
pub(crate) const OLD_ACCUMULATOR: &str = "__result__";

/// Words that are no names.
pub(crate) const RESERVED: &[&str] = &[
    "as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop", "package",
    "namespace", "null", "return", "true", "var", "void", "while",
];

/// Reads an expression.
pub fn parse(text: &str) -> Result<Ast, Issues> {
    let source = Source::new(text);
    let mut issues = Issues::new(source.clone());
    let size = text.chars().count();
    if size > limits::EXPRESSION {
        let message = format!("expression code point size exceeds limit: size: {size}, limit {}", limits::EXPRESSION);
        issues.add(Location::NONE, message);
        return Err(issues);
    }
    let words = lexer::words(text, &mut issues);
    let mut parser = Parser { text, words, at: 0, build: Builder { nodes: Vec::new(), issues }, depth: [0; 4] };
    let root = crate::deep(|| parser.start());
    let Builder { nodes, issues } = parser.build;
    match root {
        Ok(root) if issues.is_empty() => Ok(Ast { source, nodes, root }),
        _ => Err(issues),
    }
}

/// Nothing more can be read; why has been reported.
pub(crate) struct Stop;

/// What has been read: its node, and how many levels there are of those that upstream's visitor counts.
#[derive(Clone, Copy)]
pub(crate) struct Read {
    id: Id,
    height: usize,
}

/// Rules of the grammar that can nest.
#[derive(Clone, Copy)]
enum Rule {
    Expression,
    Relation,
    Calculation,
    Member,
}

/// Makes nodes.
pub(crate) struct Builder {
    nodes: Vec<Node>,
    issues: Issues,
}

impl Builder {
    pub(crate) fn add(&mut self, kind: Kind, at: usize) -> Id {
        let id = Id::try_from(self.nodes.len()).unwrap_or(Id::MAX);
        self.nodes.push(Node { kind, at: u32::try_from(at).unwrap_or(u32::MAX) });
        id
    }

    /// What stands for something that is wrong.
    fn broken(&mut self, at: usize, message: impl Into<String>) -> Id {
        self.issues.at(at, message);
        self.add(Kind::Literal(Literal::Null), at)
    }

    pub(crate) fn call(&mut self, function: &str, args: Vec<Id>, at: usize) -> Id {
        self.add(Kind::Call { function: function.into(), target: None, args }, at)
    }

    pub(crate) fn ident(&mut self, name: &str, at: usize) -> Id {
        self.add(Kind::Ident(name.into()), at)
    }

    /// A copy of a tree.
    pub(crate) fn copy(&mut self, id: Id) -> Id {
        // Too large is said by whoever expands; until then a stub will do.
        if self.nodes.len() > limits::NODES {
            return id;
        }
        crate::deep(|| {
            let Node { mut kind, at } = self.nodes[id as usize].clone();
            match &mut kind {
                Kind::Literal(_) | Kind::Ident(_) => {}
                Kind::Select { operand, .. } => *operand = self.copy(*operand),
                Kind::Call { target, args, .. } => target.iter_mut().chain(args).for_each(|id| *id = self.copy(*id)),
                Kind::List { items, .. } => items.iter_mut().for_each(|id| *id = self.copy(*id)),
                Kind::Map(entries) => entries.iter_mut().for_each(|entry| {
                    entry.key = self.copy(entry.key);
                    entry.value = self.copy(entry.value);
                }),
                Kind::Struct { fields, .. } => fields.iter_mut().for_each(|field| field.value = self.copy(field.value)),
                Kind::Comprehension(c) => {
                    for id in [&mut c.range, &mut c.init, &mut c.condition, &mut c.step, &mut c.result] {
                        *id = self.copy(*id);
                    }
                }
            }
            self.add(kind, at as usize)
        })
    }
}

struct Parser<'t> {
    text: &'t str,
    words: Vec<Word>,
    at: usize,
    build: Builder,
    depth: [usize; 4],
}

/// What an expression begins with, as upstream lists it.
const FIRST: &str = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";

fn begins(token: Token) -> bool {
    match token {
        Token::Sign(sign) => matches!(sign, "[" | "{" | "(" | "." | "-" | "!" | "true" | "false" | "null"),
        Token::Int | Token::Uint | Token::Float | Token::String | Token::Bytes | Token::Ident => true,
        Token::Escaped | Token::End => false,
    }
}

impl Parser<'_> {
    fn word(&self) -> Word {
        self.words[self.at]
    }

    fn peek(&self, ahead: usize) -> Token {
        self.words.get(self.at + ahead).map_or(Token::End, |word| word.token)
    }

    fn advance(&mut self) -> Word {
        let word = self.word();
        self.at = (self.at + 1).min(self.words.len() - 1);
        word
    }

    fn shown(&self, word: Word) -> &str {
        if word.token == Token::End { "<EOF>" } else { &self.text[word.start..word.end] }
    }

    fn text(&self, word: Word) -> Arc<str> {
        self.text[word.start..word.end].into()
    }

    fn eat(&mut self, sign: &str) -> Option<Word> {
        matches!(self.peek(0), Token::Sign(next) if next == sign).then(|| self.advance())
    }

    fn syntax(&mut self, message: String) {
        self.build.issues.at(self.word().start, format!("Syntax error: {message}"));
    }

    /// A word that must be next; one that is too much or missing is reported, and reading goes on.
    fn expect(&mut self, sign: &'static str, expecting: &str) -> Result<Word, Stop> {
        if let Some(word) = self.eat(sign) {
            return Ok(word);
        }
        let word = self.word();
        let found = self.shown(word).to_owned();
        if self.peek(1) == Token::Sign(sign) && word.token != Token::End {
            self.syntax(format!("extraneous input '{found}' expecting {expecting}"));
            self.advance();
            return Ok(self.advance());
        }
        let follows = match word.token {
            Token::End => true,
            Token::Sign(sign) => !matches!(sign, "!" | "{" | "(" | "true" | "false" | "null"),
            _ => false,
        };
        let closing = follows && matches!(sign, ")" | "]" | "}");
        if (closing || sign == ":" && begins(word.token)) && expecting.starts_with('\'') {
            self.syntax(format!("missing '{sign}' at '{found}'"));
            return Ok(word);
        }
        self.syntax(format!("mismatched input '{found}' expecting {expecting}"));
        Err(Stop)
    }

    /// One level more of a rule. Whoever calls this takes the level away again.
    fn enter(&mut self, rule: Rule) -> Result<(), Stop> {
        self.depth[rule as usize] += 1;
        if self.depth[rule as usize] > limits::DEPTH {
            let message = format!("expression recursion limit exceeded: {}", limits::DEPTH);
            self.build.issues.add(Location::NONE, message);
            return Err(Stop);
        }
        Ok(())
    }

    fn start(&mut self) -> Result<Id, Stop> {
        let read = self.expression()?;
        if self.peek(0) != Token::End {
            let found = self.shown(self.word()).to_owned();
            let how = if self.peek(1) == Token::End { "extraneous" } else { "mismatched" };
            self.syntax(format!("{how} input '{found}' expecting <EOF>"));
            return Err(Stop);
        }
        if read.height > limits::DEPTH {
            self.build.issues.add(Location::NONE, "max recursion depth exceeded");
            return Err(Stop);
        }
        if self.build.nodes.len() > limits::NODES {
            self.build.issues.add(Location::NONE, format!("expression has more than {} nodes", limits::NODES));
            return Err(Stop);
        }
        Ok(read.id)
    }
}
