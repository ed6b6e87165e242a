//! Operands: literals, names, calls, selections, lists, maps and objects.

use super::{Parser, Read, Rule, Stop, macros, unescape};
use crate::ast::{Entry, Field, Id, Kind, Literal};
use crate::parse::lexer::{Token, Word};

impl Parser<'_> {
    /// A primary and what is selected from it.
    pub(super) fn member(&mut self) -> Result<Read, Stop> {
        let before = self.depth[Rule::Member as usize];
        self.enter(Rule::Member)?;
        let mut read = self.primary()?;
        loop {
            read = if let Some(dot) = self.eat(".") {
                self.dot(read, dot)?
            } else if let Some(bracket) = self.eat("[") {
                self.index(read, bracket)?
            } else {
                break;
            };
        }
        self.depth[Rule::Member as usize] = before;
        Ok(read)
    }

    fn dot(&mut self, operand: Read, dot: Word) -> Result<Read, Stop> {
        let optional = self.eat("?").is_some();
        let word = self.word();
        let height = operand.height + 1;
        match word.token {
            Token::Ident => {
                self.advance();
                let name = self.text(word);
                if optional {
                    let field = self.build.add(Kind::Literal(Literal::String(name)), word.start);
                    let id = self.build.call("_?._", vec![operand.id, field], dot.start);
                    return Ok(Read { id, height });
                }
                if let Some(open) = self.eat("(") {
                    let (args, deepest) = self.arguments()?;
                    let id = self.called(&name, Some(operand.id), args, open.start);
                    return Ok(Read { id, height: 1 + operand.height.max(deepest) });
                }
                let id = self.build.add(Kind::Select { operand: operand.id, field: name, test: false }, dot.start);
                Ok(Read { id, height })
            }
            Token::Escaped => {
                self.advance();
                let id = self.build.broken(word.start, "unsupported syntax: '`'");
                Ok(Read { id, height })
            }
            token => {
                let found = self.shown(word).to_owned();
                let literal = matches!(token, Token::Sign("true" | "false" | "null"));
                self.syntax(match token {
                    Token::End => "no viable alternative at input '.'".to_owned(),
                    _ if literal && !optional => format!("mismatched input '{found}' expecting IDENTIFIER"),
                    _ => format!("no viable alternative at input '.{found}'"),
                });
                Err(Stop)
            }
        }
    }

    fn index(&mut self, operand: Read, bracket: Word) -> Result<Read, Stop> {
        let function = if self.eat("?").is_some() { "_[?_]" } else { "_[_]" };
        let index = self.expression()?;
        self.expect("]", "']'")?;
        let id = self.build.call(function, vec![operand.id, index.id], bracket.start);
        Ok(Read { id, height: 1 + operand.height.max(index.height) })
    }

    /// Arguments up to the closing parenthesis.
    fn arguments(&mut self) -> Result<(Vec<Id>, usize), Stop> {
        let mut args = Vec::new();
        let mut height = 0;
        if self.eat(")").is_some() {
            return Ok((args, height));
        }
        loop {
            let arg = self.expression()?;
            height = height.max(arg.height);
            args.push(arg.id);
            if self.eat(",").is_none() {
                break;
            }
        }
        self.expect(")", "')'")?;
        Ok((args, height))
    }

    /// A call, or what the macro of that name makes of it.
    fn called(&mut self, function: &str, target: Option<Id>, args: Vec<Id>, at: usize) -> Id {
        if let Some(found) = macros::find(function, args.len(), target.is_some()) {
            match (found.expand)(&mut self.build, at, target, &args) {
                Ok(id) => return id,
                Err((at, message)) => return self.build.broken(at, message),
            }
        }
        self.build.add(Kind::Call { function: function.into(), target, args }, at)
    }

    fn primary(&mut self) -> Result<Read, Stop> {
        let word = self.word();
        match word.token {
            Token::Sign("(") => {
                self.advance();
                let read = self.expression()?;
                self.expect(")", "')'")?;
                Ok(read)
            }
            Token::Sign("[") => self.list(),
            Token::Sign("{") => {
                self.advance();
                self.map(word)
            }
            Token::Sign(".") | Token::Ident => self.name(),
            _ => {
                let id = self.literal(word);
                Ok(Read { id, height: 0 })
            }
        }
    }

    fn name(&mut self) -> Result<Read, Stop> {
        let start = self.word().start;
        let leading = self.eat(".").is_some();
        let word = self.word();
        if word.token != Token::Ident {
            let found = self.shown(word).to_owned();
            self.syntax(match word.token {
                Token::Sign("true" | "false" | "null") => format!("mismatched input '{found}' expecting IDENTIFIER"),
                Token::End => "no viable alternative at input '.'".to_owned(),
                _ => format!("no viable alternative at input '.{found}'"),
            });
            return Err(Stop);
        }
        if let Some(open) = self.object_ahead() {
            return self.object(leading, open);
        }
        self.advance();
        let name = self.text(word);
        let full = if leading { format!(".{name}") } else { name.to_string() };
        let reserved = super::RESERVED.contains(&&*name);
        let open = self.eat("(");
        let (args, height) = if open.is_some() { self.arguments()? } else { (Vec::new(), 0) };
        let id = match open {
            _ if reserved => self.build.broken(start, format!("reserved identifier: {name}")),
            Some(open) => self.called(&full, None, args, open.start),
            None => self.build.ident(&full, word.start),
        };
        Ok(Read { id, height })
    }

    /// How many words a type's name has before its fields begin, if that is what is here.
    fn object_ahead(&self) -> Option<usize> {
        let mut ahead = 1;
        while self.peek(ahead) == Token::Sign(".") && self.peek(ahead + 1) == Token::Ident {
            ahead += 2;
        }
        (self.peek(ahead) == Token::Sign("{")).then_some(ahead)
    }

    fn object(&mut self, leading: bool, words: usize) -> Result<Read, Stop> {
        let mut name = if leading { ".".to_owned() } else { String::new() };
        for _ in 0..words {
            let word = self.advance();
            name.push_str(&self.text[word.start..word.end]);
        }
        let open = self.advance();
        let mut fields = Vec::new();
        let mut height = 0;
        const NEXT: &str = "{'}', ',', '?', IDENTIFIER, ESC_IDENTIFIER}";
        if !self.closes("}") {
            loop {
                let optional = self.eat("?").is_some();
                let word = self.word();
                match word.token {
                    Token::Ident => drop(self.advance()),
                    Token::Escaped => {
                        self.advance();
                        self.build.issues.at(word.start, "unsupported syntax: '`'");
                    }
                    _ => {
                        let found = self.shown(word).to_owned();
                        self.syntax(format!("mismatched input '{found}' expecting {NEXT}"));
                        return Err(Stop);
                    }
                }
                let colon = self.expect(":", "':'")?;
                let value = self.expression()?;
                height = height.max(value.height);
                let at = u32::try_from(colon.start).unwrap_or(u32::MAX);
                fields.push(Field { name: self.text(word), value: value.id, optional, at });
                if self.eat(",").is_none() || self.peek(0) == Token::Sign("}") {
                    break;
                }
            }
        }
        self.expect("}", "{'}', ','}")?;
        let id = self.build.add(Kind::Struct { name: name.into(), fields }, open.start);
        Ok(Read { id, height })
    }

    /// Whether nothing, or only a comma, stands before the closing bracket.
    fn closes(&mut self, sign: &'static str) -> bool {
        if self.peek(0) == Token::Sign(",") && self.peek(1) == Token::Sign(sign) {
            self.advance();
        }
        self.peek(0) == Token::Sign(sign)
    }

    fn list(&mut self) -> Result<Read, Stop> {
        let open = self.advance();
        let (mut items, mut optional, mut height) = (Vec::new(), Vec::new(), 0);
        if !self.closes("]") {
            loop {
                optional.push(self.eat("?").is_some());
                let item = self.expression()?;
                height = height.max(item.height);
                items.push(item.id);
                if self.eat(",").is_none() || self.peek(0) == Token::Sign("]") {
                    break;
                }
            }
        }
        self.expect("]", "{']', ','}")?;
        let id = self.build.add(Kind::List { items, optional }, open.start);
        Ok(Read { id, height })
    }

    fn map(&mut self, open: Word) -> Result<Read, Stop> {
        let mut entries = Vec::new();
        let mut height = 0;
        if self.peek(0) == Token::End {
            const NEXT: &str = "{'[', '{', '}', '(', '.', ',', '-', '!', '?', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, \
                                STRING, BYTES, IDENTIFIER}";
            self.syntax(format!("mismatched input '<EOF>' expecting {NEXT}"));
            return Err(Stop);
        }
        if !self.closes("}") {
            loop {
                let optional = self.eat("?").is_some();
                let key = self.expression()?;
                let colon = self.expect(":", "':'")?;
                let value = self.expression()?;
                height = height.max(key.height).max(value.height);
                let at = u32::try_from(colon.start).unwrap_or(u32::MAX);
                entries.push(Entry { key: key.id, value: value.id, optional, at });
                if self.eat(",").is_none() || self.peek(0) == Token::Sign("}") {
                    break;
                }
            }
        }
        self.expect("}", "{'}', ','}")?;
        let id = self.build.add(Kind::Map(entries), open.start);
        Ok(Read { id, height })
    }

    fn literal(&mut self, first: Word) -> Id {
        let negative = self.eat("-").is_some();
        let word = self.advance();
        let text = &self.text[word.start..word.end];
        let sign = if negative { "-" } else { "" };
        let value = match word.token {
            Token::Int => integer(text, sign).map(Literal::Int).ok_or("invalid int literal".to_owned()),
            Token::Uint => {
                let text = &text[..text.len() - 1];
                let value = match text.strip_prefix("0x") {
                    Some(hex) => u64::from_str_radix(hex, 16),
                    None => text.parse(),
                };
                value.map(Literal::Uint).map_err(|_| "invalid uint literal".to_owned())
            }
            Token::Float => {
                let value = format!("{sign}{text}").parse::<f64>().ok().filter(|value| value.is_finite());
                value.map(Literal::Double).ok_or("invalid double literal".to_owned())
            }
            Token::String => unescape::string(text).map(|text| Literal::String(text.into())).map_err(str::to_owned),
            Token::Bytes => unescape::bytes(&text[1..]).map(|bytes| Literal::Bytes(bytes.into())).map_err(str::to_owned),
            Token::Sign("true") => Ok(Literal::Bool(true)),
            Token::Sign("false") => Ok(Literal::Bool(false)),
            _ => Ok(Literal::Null),
        };
        match value {
            Ok(value) => self.build.add(Kind::Literal(value), first.start),
            Err(message) => self.build.broken(first.start, message),
        }
    }
}

fn integer(text: &str, sign: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(&format!("{sign}{hex}"), 16).ok(),
        None => format!("{sign}{text}").parse().ok(),
    }
}

