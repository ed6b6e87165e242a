//! Columns as Go's `text/tabwriter` sets them: a column ends where a line has no cell in it.

/// Sets text with tabs between cells; columns are `padding` spaces apart, the last cell of a line is not padded.
pub fn align(text: &str, padding: usize) -> String {
    let whole = text.strip_suffix('\n').unwrap_or(text);
    if whole.is_empty() {
        return text.to_owned();
    }
    let lines: Vec<Vec<&str>> = whole.split(['\n', '\u{c}']).map(|l| l.split(['\t', '\u{b}']).collect()).collect();
    let mut out = String::with_capacity(text.len() * 2);
    block(&lines, &mut Vec::new(), padding, &mut out);
    if !text.ends_with('\n') {
        out.pop();
    }
    out
}

/// Lines that agree in the columns whose widths are known; finds the runs of lines that share the next one.
fn block(lines: &[Vec<&str>], widths: &mut Vec<usize>, padding: usize, out: &mut String) {
    let column = widths.len();
    let has = |line: &[&str]| column + 1 < line.len();
    let mut from = 0;
    while from < lines.len() {
        let same = has(&lines[from]);
        let end = lines[from..].iter().position(|l| has(l) != same).map_or(lines.len(), |n| from + n);
        let run = &lines[from..end];
        if same {
            let widest = run.iter().map(|l| l[column].chars().count()).max().unwrap_or(0);
            widths.push(widest + padding);
            block(run, widths, padding, out);
            widths.pop();
        } else {
            run.iter().for_each(|l| line(l, widths, out));
        }
        from = end;
    }
}

fn line(cells: &[&str], widths: &[usize], out: &mut String) {
    for (i, cell) in cells.iter().enumerate() {
        out.push_str(cell);
        if let Some(width) = widths.get(i) {
            out.push_str(&" ".repeat(width.saturating_sub(cell.chars().count())));
        }
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::align;

    #[test]
    fn a_column_ends_with_the_lines_that_have_it() {
        assert_eq!(align("a\tb\nccc\td\ne\nf\tg\n", 2), "a    b\nccc  d\ne\nf  g\n");
        assert_eq!(align("a\tb\tc\nd\te\nf\tggg\th\n", 2), "a  b  c\nd  e\nf  ggg  h\n");
        assert_eq!(align("a:\t\nb\tc", 1), "a: \nb  c");
    }
}
