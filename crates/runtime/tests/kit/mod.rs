//! Images as files, made by the tests themselves: many layers, links, deletions, odd modes, owners and attributes,
//! `VOLUME`, other machines, also such as no builder makes. Needs nothing of the crate under test.
//!
//! ```text
//! let base = Layer::new().dir("tmp/", 0o1777).owned(1, 2).xattr("user.a", b"b").link("var/run", "/run");
//! let top = Layer::new().file("tmp/x", 0o644, b"text").gone("etc/old").opaque("lib");
//! let image = Image::new("example.com/x:v1").layer(&base).layer(&top).volumes(&["/data"]).user("web");
//! save(dir, "x.tar", &docker_archive(&[&image]));
//! layout(&[&image, &image.on("linux/arm64/v8")]).write(dir);
//! ```

#![allow(dead_code, unused_imports, reason = "each test program uses a part")]

mod files;
mod image;
mod layer;

pub use files::{docker_archive, gzip, layout, save, sha};
pub use image::{Image, Packed};
pub use layer::Layer;
