//! A thousand connections that say nothing, to everything that listens; while they are there, others are served.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rand::Rng;
use rand::rngs::StdRng;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::Fault;
use crate::https;
use crate::soak::scene::Scene;

const CONNECTIONS: usize = 1000;
/// How long they stay, in milliseconds.
const STAY: std::ops::Range<u64> = 1000..6000;
/// Somebody else's request meanwhile.
const SERVED: Duration = Duration::from_secs(20);
/// The node agent's port, and the cluster DNS address with its port.
const AGENT: u16 = 10250;
const DNS: ([u8; 4], u16) = ([10, 96, 0, 10], 53);

pub(super) const FAULT: Fault =
    Fault { name: "idle flood", weight: 2, kills: false, strike: |scene, rng| Box::pin(strike(scene, rng)) };

async fn strike(scene: Arc<Scene>, mut rng: StdRng) -> Result<String> {
    let server = scene.cluster.outside()?.0;
    let all = [server, SocketAddr::new(server.ip(), AGENT), SocketAddr::new(IpAddr::from(DNS.0), DNS.1)];
    let target = all[rng.random_range(0..all.len())];
    let mut held = Vec::new();
    for number in 0..CONNECTIONS {
        let connect = tokio::time::timeout(Duration::from_millis(500), TcpStream::connect(target));
        let Ok(Ok(mut stream)) = connect.await else { continue };
        if number % 2 == 0 {
            // The beginning of a handshake, or of a question: the kind and the length of a TLS record.
            let _ = stream.write_all(&[0x16, 0x03, 0x01]).await;
        }
        held.push(stream);
    }
    let began = Instant::now();
    let served = async {
        let (code, _) = scene.cluster.connect().await?.answer(&https::get("/readyz")).await?;
        ensure!(code == 200, "/readyz says {code}");
        Ok(())
    };
    tokio::time::timeout(SERVED, served).await.map_err(anyhow::Error::from).flatten().context("during the flood")?;
    let took = began.elapsed();
    tokio::time::sleep(Duration::from_millis(rng.random_range(STAY))).await;
    Ok(format!("{} connections to {target}, others served in {took:.1?}", held.len()))
}
