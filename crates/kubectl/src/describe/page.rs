//! The text of a description: lines at levels of indentation, cells parted by tabs.

use std::fmt::Display;

use crate::print;

/// Spaces between columns.
const PADDING: usize = 2;

/// A text that grows from top to bottom.
#[derive(Default)]
pub struct Page {
    done: String,
    open: String,
    indent: usize,
}

impl Page {
    /// Adds a piece of text as it is, after the level's indentation.
    pub fn put(&mut self, level: usize, text: &str) {
        self.open.push_str(&"  ".repeat(self.indent + level));
        // As `printers.WriteEscaped`: what comes from the cluster must not steer the terminal.
        self.open.push_str(&text.replace('\u{1b}', "^[").replace('\r', "\\r"));
    }

    /// Adds a line.
    pub fn line(&mut self, level: usize, text: impl AsRef<str>) {
        self.put(level, &format!("{}\n", text.as_ref()));
    }

    /// Adds `name:`, a tab and the value.
    pub fn field(&mut self, level: usize, name: &str, value: impl Display) {
        self.put(level, &format!("{name}:\t{value}\n"));
    }

    /// Adds `name:`, a tab and the value, if there is one.
    pub fn field_if(&mut self, level: usize, name: &str, value: &str) {
        if !value.is_empty() {
            self.field(level, name, value);
        }
    }

    /// Adds cells parted by tabs.
    pub fn row<S: AsRef<str>>(&mut self, level: usize, cells: &[S]) {
        let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
        self.line(level, cells.join("\t"));
    }

    /// Adds a line of headers with a line below it.
    pub fn headers(&mut self, level: usize, names: &[&str]) {
        self.row(level, names);
        self.row(level, &names.iter().map(|n| "-".repeat(n.len())).collect::<Vec<_>>());
    }

    /// Columns of what comes next have nothing to do with those before.
    pub fn part(&mut self) {
        self.done.push_str(&print::align(&self.open, PADDING));
        self.open.clear();
    }

    /// What `write` adds stands so many levels deeper.
    pub fn nested(&mut self, levels: usize, write: impl FnOnce(&mut Page)) {
        self.indent += levels;
        write(self);
        self.indent -= levels;
    }

    /// The text with its tabs.
    pub fn plain(self) -> String {
        self.done + &self.open
    }

    /// The finished text.
    pub fn finish(mut self) -> String {
        self.part();
        self.done
    }
}
