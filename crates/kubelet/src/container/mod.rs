//! From a container's spec to what the runtime is told. Pure but for reading objects.

pub mod dns;
pub mod env;
pub mod env_file;
pub mod expand;
pub mod fields;
pub mod hosts;
pub mod resources;
pub mod security;
pub mod services;
