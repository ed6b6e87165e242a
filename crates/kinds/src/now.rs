//! The moment for which a row of a table is printed.

use std::cell::RefCell;

use jiff::Timestamp;

/// A moment, or marks in place of the times since something: a row with marks is printed once and shown at any moment.
#[derive(Debug)]
pub struct Now(Sort);

#[derive(Debug)]
enum Sort {
    At(Timestamp),
    Marks { secret: u64, times: RefCell<Vec<Timestamp>> },
}

impl Now {
    /// This moment.
    pub fn at(moment: Timestamp) -> Now {
        Now(Sort::At(moment))
    }

    /// Marks. No text of an object looks like one to whom the secret is unknown.
    pub fn marks(secret: u64) -> Now {
        Now(Sort::Marks { secret, times: RefCell::default() })
    }

    /// The time since then as kubectl shows it; `<unknown>` if it is not known.
    pub fn since(&self, then: Option<Timestamp>) -> String {
        let Some(then) = then else { return "<unknown>".to_owned() };
        match &self.0 {
            Sort::At(moment) => ago(then, *moment),
            Sort::Marks { secret, times } => {
                let mut times = times.borrow_mut();
                times.push(then);
                format!("{{{secret:016x}:{}}}", times.len() - 1)
            }
        }
    }

    /// A text in which marks stand, cut at them.
    pub fn cut(&self, text: &str) -> Marked {
        let mut parts = Vec::new();
        let mut rest = text;
        if let Sort::Marks { secret, times } = &self.0 {
            let (times, mark) = (times.borrow(), format!("{{{secret:016x}:"));
            while let Some((before, after)) = rest.split_once(&mark) {
                let Some((time, after)) = after.split_once('}').and_then(|(at, after)| Some((times.get(at.parse::<usize>().ok()?)?, after))) else { break };
                parts.push((before.into(), *time));
                rest = after;
            }
        }
        Marked { parts: parts.into(), end: rest.into() }
    }
}

/// A text with times in it that go on.
#[derive(Debug, Default)]
pub struct Marked {
    /// Text, and what moment the time after it counts from.
    parts: Box<[(Box<str>, Timestamp)]>,
    end: Box<str>,
}

impl Marked {
    /// Appends the text as it is at a moment.
    pub fn print(&self, moment: Timestamp, out: &mut String) {
        for (text, then) in &self.parts {
            out.push_str(text);
            out.push_str(&ago(*then, moment));
        }
        out.push_str(&self.end);
    }
}

fn ago(then: Timestamp, moment: Timestamp) -> String {
    meta::time::human(moment.duration_since(then).as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_with_marks_is_right_at_any_moment() {
        let at = |seconds| Timestamp::from_second(seconds).expect("a time");
        let row = |now: &Now| format!(r#"["a","{} ({} ago)","{}"]"#, now.since(Some(at(10))), now.since(Some(at(40))), now.since(None));
        let marks = Now::marks(7);
        let marked = marks.cut(&row(&marks));
        for moment in [40, 100, 5000, 5] {
            let mut out = String::new();
            marked.print(at(moment), &mut out);
            assert_eq!(out, row(&Now::at(at(moment))));
        }
        let mut out = String::new();
        Now::marks(7).cut("{0000000000000007:0} {").print(at(1), &mut out);
        assert_eq!(out, "{0000000000000007:0} {", "there is no such mark");
    }
}
