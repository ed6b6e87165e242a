//! Upstream's program (`tests/upstream/cel`), built once for a test and taken away afterwards.

#![allow(dead_code, reason = "not every test needs all of it")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

pub struct Program(PathBuf);

impl Program {
    /// The program; tests that run at once have one.
    pub fn shared() -> Arc<Program> {
        static BUILT: Mutex<Weak<Program>> = Mutex::new(Weak::new());
        let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
        built.upgrade().unwrap_or_else(|| {
            let program = Arc::new(Program::build());
            *built = Arc::downgrade(&program);
            program
        })
    }

    fn build() -> Program {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(std::env::temp_dir, Into::into);
        let program = target.join(format!("cel-judge-{}", std::process::id()));
        let built = Command::new("go").args(["build", "-buildvcs=false", "-o"]).arg(&program).arg(".").current_dir(module()).status();
        assert!(built.expect("Go must be installed").success(), "upstream's CEL is built");
        Program(program)
    }

    /// What it prints of what it is given.
    pub fn run(&self, args: &[&str], input: String) -> String {
        let mut child = Command::new(&self.0).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
        let mut pipe = child.stdin.take().expect("a pipe");
        let writing = std::thread::spawn(move || pipe.write_all(input.as_bytes()));
        let output = child.wait_with_output().expect("ends");
        assert!(output.status.success(), "upstream's program fails");
        writing.join().expect("no panic").expect("is read");
        String::from_utf8(output.stdout).expect("text")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

fn module() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/upstream/cel")
}

/// The folder of a module that the test module requires.
pub fn folder(of: &str) -> PathBuf {
    let args = ["list", "-m", "-f", "{{.Dir}}", of];
    let output = Command::new("go").args(args).current_dir(module()).output().expect("Go must be installed");
    let folder = String::from_utf8(output.stdout).expect("text");
    assert!(!folder.trim().is_empty(), "{of} is in the module cache");
    PathBuf::from(folder.trim())
}
