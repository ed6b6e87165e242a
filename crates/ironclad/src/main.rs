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

use std::ffi::c_char;
use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// What the allocator reads before `main`. Few arenas, because each keeps free memory of its own, and threads come and go;
/// what is free is given back a second later. It begins without a thread of its own: a shim has one alone.
#[unsafe(export_name = "_rjem_malloc_conf")]
static ALLOCATOR_OPTIONS: Option<&c_char> = {
    let options = c"narenas:2,dirty_decay_ms:1000,muzzy_decay_ms:0,thp:never";
    // SAFETY: a string that is there as long as the program.
    Some(unsafe { &*options.as_ptr() })
};

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
