//! Container logs in the CRI's format: reading, following, rotating.
//!
//! A line is `<time> <stdout|stderr> <P|F> <text>`; P marks a part of a longer line.

pub mod follow;
pub mod line;
pub mod rotate;
pub mod tail;
