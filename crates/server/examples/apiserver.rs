//! An API server alone, in memory, on loopback: `apiserver [PORT] [KUBECONFIG]`. Writes an administrator's
//! kubeconfig and serves until it is interrupted.

#[path = "../tests/kit/mod.rs"]
mod kit;

use auth::pki::Leaf;
use jiff::Timestamp;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().and_then(|p| p.parse().ok()).unwrap_or(0);
    let directory = tempfile::tempdir()?;
    let kit = kit::Kit::new(directory.path()).await;
    let address = kit.listen(port).await;
    let config = kit.pki.kubeconfig(&format!("https://{address}"), &Leaf::admin(), Timestamp::now()).map(|(text, _)| text);
    let config = config.map_err(std::io::Error::other)?;
    if let Some(path) = arguments.next() {
        std::fs::write(path, config)?;
    }
    println!("https://{address}");
    tokio::signal::ctrl_c().await?;
    kit.server.stop();
    Ok(())
}
