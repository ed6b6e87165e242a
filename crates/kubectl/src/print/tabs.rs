//! Columns as Go's `text/tabwriter` sets them with kubectl's parameters (at least 6 wide, 3 apart).

/// Lines of cells; the last cell of a line is not padded.
#[derive(Default)]
pub struct Tabs {
    lines: Vec<Vec<String>>,
    widths: Vec<usize>,
    padding: usize,
    least: usize,
}

impl Tabs {
    /// Columns 3 apart and at least 6 wide, as lists of objects have them.
    pub fn new() -> Tabs {
        Tabs { padding: 3, least: 6, ..Tabs::default() }
    }

    /// Columns so many spaces apart, of any width.
    pub fn spaced(padding: usize) -> Tabs {
        Tabs { padding, ..Tabs::default() }
    }

    /// Adds a line.
    pub fn line<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.lines.push(cells.into_iter().map(Into::into).collect());
    }

    /// Writes the lines out and forgets them; the widths stay for lines that come later (`-w`).
    pub fn flush(&mut self) -> String {
        for line in &self.lines {
            for (i, cell) in line.iter().enumerate().take(line.len().saturating_sub(1)) {
                let width = (cell.chars().count() + self.padding).max(self.least);
                match self.widths.get_mut(i) {
                    Some(known) => *known = width.max(*known),
                    None => self.widths.push(width),
                }
            }
        }
        let mut out = String::new();
        for line in self.lines.drain(..) {
            for (i, cell) in line.iter().enumerate() {
                out.push_str(cell);
                if i + 1 < line.len() {
                    out.push_str(&" ".repeat(self.widths[i] - cell.chars().count()));
                }
            }
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::Tabs;

    #[test]
    fn columns_are_padded_and_the_last_is_not() {
        let mut tabs = Tabs::new();
        tabs.line(["NAME", "A", "AGE"]);
        tabs.line(["a-long-name", "1", "5s"]);
        assert_eq!(tabs.flush(), "NAME          A     AGE\na-long-name   1     5s\n");
        tabs.line(["b", "2", "6s"]);
        assert_eq!(tabs.flush(), "b             2     6s\n");
    }
}
