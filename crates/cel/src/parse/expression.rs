//! Operators: conditions, logic, relations, sums and products.

use super::{FIRST, Parser, Read, Rule, Stop, begins};
use crate::ast::Id;
use crate::parse::lexer::{Token, Word};

/// Operators of a relation, and upstream's names of their functions.
const RELATIONS: &[(&str, &str)] =
    &[("<", "_<_"), ("<=", "_<=_"), (">=", "_>=_"), (">", "_>_"), ("==", "_==_"), ("!=", "_!=_"), ("in", "@in")];
const PRODUCTS: &[(&str, &str)] = &[("*", "_*_"), ("/", "_/_"), ("%", "_%_")];
const SUMS: &[(&str, &str)] = &[("+", "_+_"), ("-", "_-_")];

impl Parser<'_> {
    /// `a ? b : c`
    pub(super) fn expression(&mut self) -> Result<Read, Stop> {
        self.enter(Rule::Expression)?;
        let read = crate::deep(|| self.condition())?;
        self.depth[Rule::Expression as usize] -= 1;
        Ok(read)
    }

    fn condition(&mut self) -> Result<Read, Stop> {
        let condition = self.logic("||", "_||_", |parser| parser.logic("&&", "_&&_", Self::relation))?;
        let Some(question) = self.eat("?") else { return Ok(condition) };
        let yes = self.logic("||", "_||_", |parser| parser.logic("&&", "_&&_", Self::relation))?;
        self.expect(":", "':'")?;
        let no = self.expression()?;
        let id = self.build.call("_?_:_", vec![condition.id, yes.id, no.id], question.start);
        Ok(Read { id, height: 1 + condition.height.max(yes.height).max(no.height) })
    }

    /// A row of terms with one logical operator, as a balanced tree: such a row may be as long as the text.
    fn logic(
        &mut self,
        sign: &'static str,
        function: &'static str,
        term: fn(&mut Self) -> Result<Read, Stop>,
    ) -> Result<Read, Stop> {
        let first = term(self)?;
        let mut height = first.height;
        let mut terms = vec![first.id];
        let mut signs = Vec::new();
        while let Some(word) = self.eat(sign) {
            let next = term(self)?;
            height = height.max(next.height);
            terms.push(next.id);
            signs.push(word.start);
        }
        let id = if signs.is_empty() { first.id } else { self.balanced(function, &terms, &signs, 0, signs.len() - 1) };
        Ok(Read { id, height })
    }

    fn balanced(&mut self, function: &str, terms: &[Id], signs: &[usize], low: usize, high: usize) -> Id {
        let middle = (low + high).div_ceil(2);
        let left = if middle == low { terms[middle] } else { self.balanced(function, terms, signs, low, middle - 1) };
        let right = if middle == high { terms[middle + 1] } else { self.balanced(function, terms, signs, middle + 1, high) };
        self.build.call(function, vec![left, right], signs[middle])
    }

    fn relation(&mut self) -> Result<Read, Stop> {
        self.chain(Rule::Relation, &[RELATIONS], 0)
    }

    fn calculation(&mut self) -> Result<Read, Stop> {
        self.chain(Rule::Calculation, &[SUMS, PRODUCTS], 0)
    }

    /// A row of operands with operators that bind from the left; later levels bind tighter.
    fn chain(&mut self, rule: Rule, levels: &[&[(&str, &str)]], least: usize) -> Result<Read, Stop> {
        let before = self.depth[rule as usize];
        self.enter(rule)?;
        let mut left = match rule {
            Rule::Relation => self.calculation()?,
            _ => self.unary()?,
        };
        while let Some((level, function)) = self.operator(levels).filter(|(level, _)| *level >= least) {
            let word = self.advance();
            let right = self.chain(rule, levels, level + 1)?;
            let id = self.build.call(function, vec![left.id, right.id], word.start);
            left = Read { id, height: 1 + left.height.max(right.height) };
        }
        self.depth[rule as usize] = before;
        Ok(left)
    }

    fn operator<'l>(&self, levels: &[&[(&str, &'l str)]]) -> Option<(usize, &'l str)> {
        let Token::Sign(sign) = self.peek(0) else { return None };
        let find = |level: &&[(&str, &'l str)]| level.iter().find(|(text, _)| *text == sign).map(|(_, function)| *function);
        levels.iter().enumerate().find_map(|(index, level)| Some((index, find(level)?)))
    }

    /// `!a`, `-a`, `a.b`
    fn unary(&mut self) -> Result<Read, Stop> {
        if !begins(self.peek(0)) {
            let found = self.shown(self.word()).to_owned();
            if !begins(self.peek(1)) || self.peek(0) == Token::End {
                self.syntax(format!("mismatched input '{found}' expecting {FIRST}"));
                return Err(Stop);
            }
            self.syntax(format!("extraneous input '{found}' expecting {FIRST}"));
            self.advance();
        }
        // A minus before a number is part of it.
        let signed = matches!(self.peek(1), Token::Int | Token::Float);
        for (sign, function) in [("!", "!_"), ("-", "-_")] {
            if self.peek(0) == Token::Sign(sign) && !(sign == "-" && signed) {
                return self.signs(sign, function);
            }
        }
        self.member()
    }

    fn signs(&mut self, sign: &'static str, function: &str) -> Result<Read, Stop> {
        let mut words: Vec<Word> = Vec::new();
        while let Some(word) = self.eat(sign) {
            words.push(word);
        }
        if !begins(self.peek(0)) || matches!(self.peek(0), Token::Sign("!" | "-")) {
            let found = self.shown(self.word()).to_owned();
            if self.peek(0) == Token::End {
                self.syntax(format!("no viable alternative at input '{sign}'"));
            }
            self.syntax(format!("mismatched input '{found}' expecting {FIRST}"));
            return Err(Stop);
        }
        let operand = self.member()?;
        if words.len().is_multiple_of(2) {
            return Ok(operand);
        }
        let id = self.build.call(function, vec![operand.id], words[0].start);
        Ok(Read { id, height: operand.height })
    }
}
