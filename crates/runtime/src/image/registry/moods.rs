//! A registry with moods, for tests: it answers each request as the test wants.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::image::manifest::{Descriptor, Manifest};
use crate::image::stage;

/// What was asked.
#[derive(Clone, Debug, Default)]
pub(in crate::image) struct Asked {
    pub method: String,
    pub path: String,
    pub body: Vec<u8>,
    /// Names in small letters.
    pub headers: BTreeMap<String, String>,
}

impl Asked {
    pub(in crate::image) fn from(&self) -> Option<usize> {
        self.headers.get("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// How it answers.
pub(in crate::image) enum Mood {
    /// Status and further headers, with line ends, and the body.
    Answer(&'static str, String, Vec<u8>),
    /// These bytes, and the end of the connection.
    Bytes(Vec<u8>),
    /// A head, and these bytes again and again.
    Endless(&'static str, Vec<u8>),
    /// These bytes, and nothing more.
    Silent(Vec<u8>),
}

pub(in crate::image) fn ok(body: &[u8]) -> Mood {
    Mood::Answer("200 OK", String::new(), body.to_vec())
}

pub(in crate::image) fn none() -> Mood {
    Mood::Answer("404 Not Found", String::new(), b"{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"no\"}]}".to_vec())
}

/// See the module.
pub(in crate::image) struct Registry {
    pub address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// A client has closed a connection on which the registry was silent.
    pub left: Arc<Notify>,
}

impl Registry {
    pub(in crate::image) async fn start(mood: impl Fn(&Asked) -> Mood + Send + Sync + 'static) -> Self {
        Self::over(None, mood).await
    }

    /// The same over TLS.
    pub(in crate::image) async fn over(
        tls: Option<tokio_rustls::TlsAcceptor>, mood: impl Fn(&Asked) -> Mood + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (asked, left) = (Arc::new(Mutex::default()), Arc::new(Notify::new()));
        let (mood, seen, gone) = (Arc::new(mood), asked.clone(), left.clone());
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (mood, seen, gone, tls) = (mood.clone(), seen.clone(), gone.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => serve(tls.accept(socket).await.ok()?, &*mood, &seen, &gone).await,
                        None => serve(socket, &*mood, &seen, &gone).await,
                    }
                });
            }
        });
        Self { address, asked, left }
    }

    /// The requests whose path has this in it.
    pub(in crate::image) fn asked(&self, part: &str) -> Vec<Asked> {
        self.asked.lock().unwrap().iter().filter(|asked| asked.path.contains(part)).cloned().collect()
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(socket: S, mood: &(dyn Fn(&Asked) -> Mood + Sync), seen: &Mutex<Vec<Asked>>, gone: &Notify) -> Option<()> {
    let mut socket = BufReader::new(socket);
    loop {
        let mut asked = Asked::default();
        let mut line = String::new();
        while socket.read_line(&mut line).await.ok()? > 2 {
            match line.trim_end().split_once(": ") {
                Some((name, value)) => drop(asked.headers.insert(name.to_lowercase(), value.to_owned())),
                None => (asked.method, asked.path) = (line.split(' ').next()?.to_owned(), line.split(' ').nth(1)?.to_owned()),
            }
            line.clear();
        }
        if asked.path.is_empty() {
            return None;
        }
        if let Some(length) = asked.headers.get("content-length") {
            asked.body = vec![0; length.parse().ok()?];
            socket.read_exact(&mut asked.body).await.ok()?;
        }
        seen.lock().unwrap().push(asked.clone());
        match mood(&asked) {
            Mood::Answer(status, headers, body) => {
                let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len());
                socket.write_all(head.as_bytes()).await.ok()?;
                if asked.method != "HEAD" {
                    socket.write_all(&body).await.ok()?;
                }
            }
            Mood::Bytes(bytes) => {
                socket.write_all(&bytes).await.ok()?;
                return socket.shutdown().await.ok();
            }
            Mood::Endless(head, bytes) => {
                socket.write_all(head.as_bytes()).await.ok()?;
                while socket.write_all(&bytes).await.is_ok() {}
                return None;
            }
            Mood::Silent(bytes) => {
                socket.write_all(&bytes).await.ok()?;
                let _ = socket.read(&mut [0; 1]).await;
                gone.notify_one();
                return None;
            }
        }
    }
}

/// An image with these layers, each a tar file that is sent as it is.
#[derive(Clone)]
pub(in crate::image) struct Made {
    pub manifest: Vec<u8>,
    pub config: Vec<u8>,
    pub layers: Vec<Vec<u8>>,
}

impl Made {
    pub(in crate::image) fn of(layers: &[Vec<u8>]) -> Self {
        let digests: Vec<String> = layers.iter().map(|layer| stage::digest(layer)).collect();
        let config = serde_json::json!({"config": {}, "rootfs": {"diff_ids": digests}}).to_string().into_bytes();
        let describe = |bytes: &Vec<u8>| serde_json::json!({"digest": stage::digest(bytes), "size": bytes.len()});
        let list: Vec<_> = layers.iter().map(describe).collect();
        let manifest = serde_json::json!({"schemaVersion": 2, "config": describe(&config), "layers": list});
        Self { manifest: manifest.to_string().into_bytes(), config, layers: layers.to_vec() }
    }

    /// A well-behaved answer.
    pub(in crate::image) fn answer(&self, asked: &Asked) -> Mood {
        if asked.path.contains("/manifests/") {
            return ok(&self.manifest);
        }
        let path = asked.path.split('?').next().unwrap_or_default();
        let wanted = path.rsplit('/').next().unwrap_or_default();
        self.layers.iter().chain([&self.config]).find(|bytes| stage::digest(bytes) == wanted).map_or_else(none, |b| ok(b))
    }

    /// The first layer, as the manifest has it.
    pub(in crate::image) fn first(&self) -> Descriptor {
        Manifest::parse(&self.manifest).unwrap().layers.remove(0)
    }

    /// Whether the first layer is asked for.
    pub(in crate::image) fn is_layer(&self, asked: &Asked) -> bool {
        asked.path.ends_with(&stage::digest(&self.layers[0]))
    }
}

/// A layer with one file of so many bytes.
pub(in crate::image) fn layer(name: &str, bytes: usize) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    tar.append_data(&mut header, name, std::io::repeat(b'x').take(bytes as u64)).unwrap();
    tar.into_inner().unwrap()
}
