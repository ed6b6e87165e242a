//! An API server alone, in memory, for the comparison with upstream's: `oracle DIRECTORY ADDRESS:PORT`.
//! Writes into the directory the keys that both servers use, and `ready` when it answers.

#[path = "../tests/kit/mod.rs"]
mod kit;

use std::io::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use auth::pki::Leaf;
use jiff::Timestamp;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let mut arguments = std::env::args().skip(1);
    let mut argument = |what: &str| arguments.next().ok_or_else(|| Error::other(format!("{what} is missing")));
    let directory = PathBuf::from(argument("the directory")?);
    let address: SocketAddr = argument("the address")?.parse().map_err(Error::other)?;
    let kit = kit::Kit::guarded(&directory).await;
    kit.pki.signing_key();
    kit.listen(address.port()).await;
    issue(&kit, &directory, "admin", &Leaf::super_admin())?;
    issue(&kit, &directory, "upstream", &Leaf::api_server("localhost", "cluster.local", &[address.ip()]))?;
    std::fs::write(directory.join("ready"), "")?;
    tokio::signal::ctrl_c().await?;
    kit.server.stop();
    Ok(())
}

fn issue(kit: &kit::Kit, directory: &Path, name: &str, leaf: &Leaf) -> std::io::Result<()> {
    let issued = kit.pki.issue(leaf, Timestamp::now()).map_err(Error::other)?;
    std::fs::write(directory.join(format!("{name}.crt")), issued.certificate_pem)?;
    std::fs::write(directory.join(format!("{name}.key")), issued.key_pem)
}
