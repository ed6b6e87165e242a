//! Ironclad: Kubernetes as one program.
//!
//! The binary links the two arms, the API server and the actors, and is their only meeting point
//! beside the tests. It also answers to the names `kubectl`, `kube-apiserver` and `etcd`.

mod apiserver;
mod clusters;
mod commands;
mod dirs;
mod durable;
mod home;
mod out;
mod up;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut arguments = std::env::args();
    let called = arguments.next().unwrap_or_default();
    let first = arguments.next();
    // A shim must be small and have one thread: before anything else.
    if first.as_deref() == Some("shim") {
        runtime::shim::main(arguments);
    }
    match called.rsplit('/').next() {
        Some("kubectl") => commands::kubectl::run_as(std::env::args().skip(1).collect()),
        Some(name) => commands::run_as(name).unwrap_or_else(commands::run),
        None => commands::run(),
    }
}
