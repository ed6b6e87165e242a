//! An API server alone, in memory, for the comparison with upstream's: `oracle DIRECTORY ADDRESS:PORT`.
//! Writes into the directory the keys that both servers use, and `ready` when it answers. A third argument is a file with
//! the content of a store to begin with.

#[path = "../tests/kit/mod.rs"]
mod kit;

use std::io::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use auth::pki::Leaf;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use store::{Durability, Expect, Memory, Op, Store, Write};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let mut arguments = std::env::args().skip(1);
    let mut argument = |what: &str| arguments.next().ok_or_else(|| Error::other(format!("{what} is missing")));
    let directory = PathBuf::from(argument("the directory")?);
    let address: SocketAddr = argument("the address")?.parse().map_err(Error::other)?;
    let kit = match argument("a page") {
        Ok(page) => kit::Kit::over(&directory, filled(&std::fs::read_to_string(page)?).await?).await,
        Err(_) => kit::Kit::guarded(&directory).await,
    };
    kit.pki.signing_key();
    kit.listen(address.port()).await;
    issue(&kit, &directory, "admin", &Leaf::super_admin())?;
    issue(&kit, &directory, "upstream", &Leaf::api_server("localhost", "cluster.local", &[address.ip()]))?;
    std::fs::write(directory.join("ready"), "")?;
    tokio::signal::ctrl_c().await?;
    kit.server.stop();
    Ok(())
}

/// A store with the keys and values of a page: a line each, in base 64, in the order in which they were written.
async fn filled(page: &str) -> std::io::Result<Memory> {
    let store = Memory::new();
    let decode = |text: &str| STANDARD.decode(text).map_err(Error::other);
    for line in page.lines() {
        let (key, value) = line.split_once(' ').ok_or_else(|| Error::other("a line without a value"))?;
        let key = String::from_utf8(decode(key)?).map_err(Error::other)?;
        let (expect, durability) = (Expect::Absent, Durability::Sync);
        let write = Write { key: key.into(), expect, op: Op::Put(decode(value)?.into()), durability, note: None };
        store.commit(write).await.map_err(Error::other)?;
    }
    Ok(store)
}

fn issue(kit: &kit::Kit, directory: &Path, name: &str, leaf: &Leaf) -> std::io::Result<()> {
    let issued = kit.pki.issue(leaf, Timestamp::now()).map_err(Error::other)?;
    std::fs::write(directory.join(format!("{name}.crt")), issued.certificate_pem)?;
    std::fs::write(directory.join(format!("{name}.key")), issued.key_pem)
}
