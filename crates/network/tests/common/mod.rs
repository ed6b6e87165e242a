//! Network namespaces of a test's own. Needs root.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

/// A network namespace bound to a file, unbound at the end.
pub struct Namespace(pub PathBuf);

impl Namespace {
    pub fn new(path: PathBuf) -> Self {
        File::create(&path).expect("file");
        let target = path.clone();
        let make = move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("root");
            mount(Some("/proc/thread-self/ns/net"), &target, None::<&str>, MsFlags::MS_BIND, None::<&str>).expect("bind");
        };
        std::thread::spawn(make).join().expect("made");
        Namespace(path)
    }

    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> std::thread::JoinHandle<T> {
        let file = File::open(&self.0).expect("namespace");
        std::thread::spawn(move || {
            setns(file.as_fd(), CloneFlags::CLONE_NEWNET).expect("enter");
            work()
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}
