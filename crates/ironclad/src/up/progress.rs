//! What `up` tells while it works.

use std::path::Path;
use std::time::Instant;

use super::Options;
use super::machine::Machine;
use crate::out;

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
        out::line(format_args!("{:>8.3}s  {step}", self.start.elapsed().as_secs_f64()));
    }

    /// Everything is done: what to do next.
    pub fn ready(&mut self, options: &Options, machine: &Machine) {
        let config = options.dirs.kubeconfig();
        let default = options.dirs.data == Path::new(crate::dirs::DEFAULT_DATA);
        let ours = if default { String::new() } else { format!(" --kubeconfig {}", config.display()) };
        let data = if default { String::new() } else { format!(" --data-dir {}", options.dirs.data.display()) };
        out::line(format_args!("\nThe cluster is up: https://{}:{}\n", machine.address, options.port));
        out::line(format_args!("  ironclad kubectl{ours} get nodes"));
        out::line(format_args!("  export KUBECONFIG={}    # for every other client", config.display()));
        out::line(format_args!("  ironclad down{data}    # stop, and remove everything that was made"));
    }

    /// The end begins.
    pub fn stopping() {
        out::line("stopping; pods keep running until `ironclad down`");
    }
}
