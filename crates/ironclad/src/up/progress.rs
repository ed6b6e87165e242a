//! What `up` tells while it works.

use std::path::Path;
use std::time::Instant;

use super::Options;
use super::machine::Machine;
use crate::dirs::Dirs;
use crate::home::Merged;
use crate::out::{self, Style};

/// Steps with their times since the start.
pub struct Progress {
    start: Instant,
}

impl Progress {
    /// The clock starts.
    pub fn start() -> Self {
        Progress { start: Instant::now() }
    }

    /// A step is done.
    pub fn done(&mut self, step: &str) {
        let time = format!("{:>8.3}s", self.start.elapsed().as_secs_f64());
        out::line(format_args!("{}  {step}", out::styled(Style::Dim, time)));
    }

    /// Everything is done: what to do next.
    pub fn ready(&mut self, options: &Options, machine: &Machine, merged: Option<&Merged>) {
        let config = options.dirs.kubeconfig();
        let default = options.dirs.data == Path::new(crate::dirs::DEFAULT_DATA);
        let ours = if default { String::new() } else { format!(" --kubeconfig {}", config.display()) };
        let up = out::styled(Style::Good, format_args!("The cluster is up: {}", machine.server(options)));
        out::line(format_args!("\n{up}\n"));
        out::line(format_args!("  ironclad kubectl{ours} get nodes"));
        match merged {
            Some(Merged { is_current: true, .. }) if std::env::var_os("KUBECONFIG").is_none() => out::line("  kubectl get nodes    # and every other client"),
            Some(Merged { context, is_current: false }) => {
                out::line(format_args!("  kubectl --context {context} get nodes    # and every other client"));
            }
            _ => out::line(format_args!("  export KUBECONFIG={}    # for every other client", config.display())),
        }
        let down = options.dirs.command("down");
        out::line(format_args!("  {down}    # stop, and remove everything that was made"));
    }

    /// The end begins.
    pub fn stopping(dirs: &Dirs) {
        out::line(format_args!("stopping; pods keep running until `{}`", dirs.command("down")));
    }
}
