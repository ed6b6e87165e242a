//! What is told to people: lines on standard output and standard error, which may be gone or full. That is never a
//! reason to stop.

use std::fmt;
use std::io::{self, Write};

/// A line on standard output.
pub fn line(text: impl fmt::Display) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// A line on standard error that says what went wrong.
pub fn error(text: impl fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "error: {text}");
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::process::Command;

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
