//! Measures an API server in memory over TLS on loopback: creates, gets, and one long list. The client is
//! part of the process, so its work counts, too.

#[path = "../tests/kit/mod.rs"]
mod kit;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use auth::pki::{Leaf, tls};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use kit::Kit;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const CONNECTIONS: usize = 64;
const OBJECTS: usize = 20_000;
const MAPS: &str = "/api/v1/namespaces/default/configmaps";

type Client = http1::SendRequest<Full<Bytes>>;

async fn connect(kit: &Kit, address: SocketAddr) -> Client {
    let config = tls::client_config(&kit.pki, Leaf::admin()).expect("certificate");
    let mut config = rustls::ClientConfig::clone(&config);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = TcpStream::connect(address).await.expect("connects");
    stream.set_nodelay(true).expect("option");
    let name = ServerName::try_from("127.0.0.1").expect("name");
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("handshake");
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("http");
    tokio::spawn(connection);
    sender
}

async fn ask(client: &mut Client, method: Method, uri: &str, body: Bytes) -> Bytes {
    let request = Request::builder().method(method).uri(uri).header("host", "localhost");
    let request = request.header("content-type", "application/json").body(Full::new(body)).expect("request");
    client.ready().await.expect("is open");
    let response = client.send_request(request).await.expect("answers");
    assert!(response.status().is_success(), "{}", response.status());
    response.into_body().collect().await.expect("body").to_bytes()
}

/// `count` requests over all connections; prints the rate.
async fn run(name: &str, clients: &mut Vec<Client>, count: usize, make: fn(usize) -> (Method, String, Bytes)) {
    let (started, next) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let mut tasks = Vec::new();
    for mut client in clients.drain(..) {
        let next = next.clone();
        tasks.push(tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return client;
                }
                let (method, uri, body) = make(number);
                ask(&mut client, method, &uri, body).await;
            }
        }));
    }
    for task in tasks {
        clients.push(task.await.expect("ends"));
    }
    println!("{name}: {:.0}/s", count as f64 / started.elapsed().as_secs_f64());
}

fn create(number: usize) -> (Method, String, Bytes) {
    let data = "x".repeat(900);
    let body = format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"c{number}"}},"data":{{"a":"{data}"}}}}"#
    );
    (Method::POST, MAPS.to_owned(), body.into())
}

fn get(number: usize) -> (Method, String, Bytes) {
    (Method::GET, format!("{MAPS}/c{}", number % OBJECTS), Bytes::new())
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let directory = tempfile::tempdir()?;
    let kit = Kit::new(directory.path()).await;
    let address = kit.listen(0).await;
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(connect(&kit, address).await);
    }
    run("create", &mut clients, OBJECTS, create).await;
    run("get", &mut clients, 3 * OBJECTS, get).await;
    for _ in 0..5 {
        let started = Instant::now();
        let body = ask(&mut clients[0], Method::GET, MAPS, Bytes::new()).await;
        println!("list: {} bytes in {} ms", body.len(), started.elapsed().as_millis());
    }
    kit.server.stop();
    Ok(())
}
