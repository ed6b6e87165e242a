//! `cargo xtask codegen`: upstream's published specification becomes the tables of `crates/schema`.

mod go;
mod openapi;
mod proto;
mod table;
mod universe;
pub mod upstream;

use std::path::Path;

use anyhow::{Context, Result, bail};

/// Where the table is committed.
const TABLE: &str = "crates/schema/src/kubernetes.table";

/// Writes the generated files, or with `check` only compares them with the committed ones.
pub fn run(root: &Path, check: bool) -> Result<()> {
    let modules = upstream::Modules::fetch(root)?;
    let universe = universe::Universe::read(&modules)?;
    let definitions = openapi::Definitions::read(modules.dir("k8s.io/kubernetes")?)?;
    let table = table::write(&universe, &definitions)?;
    let path = root.join(TABLE);
    if !check {
        return std::fs::write(&path, table).with_context(|| path.display().to_string());
    }
    if std::fs::read_to_string(&path).unwrap_or_default() != table {
        bail!("{TABLE} is not what upstream's specification gives: run `cargo xtask codegen` and commit the result");
    }
    Ok(())
}
