//! What is told to people: lines on standard output and standard error, which may be gone or full. That is never a
//! reason to stop. Colours are for terminals.

use std::fmt;
use std::io::{self, IsTerminal, Write};

/// A line on standard output.
pub fn line(text: impl fmt::Display) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// A line on standard error that says what went wrong.
pub fn error(text: impl fmt::Display) {
    let what = paint(Style::Bad, "error:", is_coloured(&io::stderr()));
    let _ = writeln!(io::stderr().lock(), "{what} {text}");
}

/// How a text stands out.
#[derive(Clone, Copy)]
pub enum Style {
    /// Less than the rest.
    Dim,
    /// As what one has waited for.
    Good,
    /// As what needs somebody.
    Bad,
}

/// Tells a process whose standard output is read and printed by this one that a terminal is at its end.
pub const COLOURS: &str = "IRONCLAD_COLOURS";

/// A text for standard output, in colour where that is a terminal.
pub fn styled(style: Style, text: impl fmt::Display) -> String {
    paint(style, text, is_coloured(&io::stdout()) || std::env::var_os(COLOURS).is_some())
}

/// Whether a stream is a terminal, and nobody objects (<https://no-color.org>).
pub fn is_coloured(stream: &impl IsTerminal) -> bool {
    let objects = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    stream.is_terminal() && !objects && !is_dumb
}

fn paint(style: Style, text: impl fmt::Display, is_coloured: bool) -> String {
    let code = match style {
        Style::Dim => "2",
        Style::Good => "1;32",
        Style::Bad => "1;31",
    };
    if is_coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::process::Command;

    #[test]
    fn colours_are_for_terminals() {
        assert_eq!(super::paint(super::Style::Bad, "error:", true), "\x1b[1;31merror:\x1b[0m");
        assert_eq!(super::paint(super::Style::Bad, "error:", false), "error:");
        assert!(!super::is_coloured(&OpenOptions::new().write(true).open("/dev/null").expect("is there")));
    }

    const CHILD: &str = "IRONCLAD_OUT_CHILD";

    #[test]
    fn nobody_who_listens_is_no_reason_to_stop() {
        if std::env::var_os(CHILD).is_some() {
            let full = OpenOptions::new().write(true).open("/dev/full").expect("is there");
            nix::unistd::dup2_stdout(&full).and_then(|()| nix::unistd::dup2_stderr(&full)).expect("leads there");
            super::line("told to nobody");
            super::error("neither");
            std::process::exit(7);
        }
        let mut test = Command::new(std::env::current_exe().expect("exe"));
        test.args(["--exact", "out::tests::nobody_who_listens_is_no_reason_to_stop", "--nocapture"]).env(CHILD, "1");
        assert_eq!(test.status().expect("runs").code(), Some(7));
    }
}
