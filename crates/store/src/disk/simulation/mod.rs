//! A disk that fails as disks do, from a seed: the same seed fails the same way. For tests alone, of this crate and of
//! those above it; built always, since another set of features would have all of them built twice. The linker leaves it
//! out of the program.

mod disk;
mod engine;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

pub use disk::{Crash, Faults, SimulatedDisk};
pub use engine::Engine;

use std::sync::Arc;

use super::{Disk, Sizes, thread};
use crate::Error;

/// A store on a simulated disk, with files so small that all that can happen to them happens soon. `lost` is called
/// where the process would end.
pub fn store(disk: &SimulatedDisk, lost: impl Fn(&str) + Send + Sync + 'static) -> Result<Disk, Error> {
    let lost: thread::Lost = Arc::new(lost);
    Disk::start(Arc::new(disk.clone()), Sizes { log: 64 << 10, ahead: 4096, reserve: 50, pending: 4 << 20 }, lost, None, &|_| None)
}
