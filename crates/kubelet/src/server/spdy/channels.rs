//! A program's channels as SPDY streams, one each.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use tokio::sync::mpsc;

use super::{Connection, Sink, Stream};
use crate::server::channels::{CLOSE, ERROR, Input, Output, RESIZE, STDERR, STDIN, STDOUT};

/// How long the client may take to open its streams (upstream: `DefaultStreamCreationTimeout`).
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for the streams, runs `session` with them, then ends them.
pub async fn with_channels<F: Future<Output = ()>>(
    mut connection: Connection, wanted: &[u8], session: impl FnOnce(Input, Output) -> F,
) {
    let streams = match tokio::time::timeout(PATIENCE, collect(&mut connection, wanted)).await {
        Ok(Some(streams)) => streams,
        Ok(None) | Err(_) => return tracing::debug!("a client did not open its streams"),
    };
    let mut sinks = BTreeMap::new();
    let mut inputs = vec![gone(connection)];
    for (channel, stream) in streams {
        sinks.insert(channel, stream.output);
        match channel {
            STDIN => inputs.push(messages(channel, stream.input).chain(closed(channel)).boxed()),
            RESIZE => inputs.push(messages(channel, stream.input)),
            _ => {}
        }
    }
    let (output, queue) = Output::new();
    let writer = tokio::spawn(write(sinks, queue));
    session(futures::stream::select_all(inputs).boxed(), output).await;
    let _ = writer.await;
}

/// One stream for every channel; `None` when the client goes before.
async fn collect(connection: &mut Connection, wanted: &[u8]) -> Option<BTreeMap<u8, Stream>> {
    let mut streams = BTreeMap::new();
    while !wanted.iter().all(|channel| streams.contains_key(channel)) {
        let stream = connection.streams.recv().await?;
        let channel = match stream.headers.get("streamtype").map(String::as_str) {
            Some("stdin") => STDIN,
            Some("stdout") => STDOUT,
            Some("stderr") => STDERR,
            Some("error") => ERROR,
            Some("resize") => RESIZE,
            other => {
                tracing::debug!(kind = ?other, "unexpected stream type");
                continue;
            }
        };
        streams.insert(channel, stream);
    }
    Some(streams)
}

fn messages(channel: u8, input: mpsc::Receiver<Bytes>) -> Input {
    let take = move |mut input: mpsc::Receiver<Bytes>| async move { Some(((channel, input.recv().await?), input)) };
    futures::stream::unfold(input, take).boxed()
}

fn closed(channel: u8) -> Input {
    futures::stream::once(async move { (CLOSE, Bytes::copy_from_slice(&[channel])) }).boxed()
}

/// Nothing, until the client is gone; it keeps the connection open as long as it is read from.
fn gone(connection: Connection) -> Input {
    let end = async move {
        // The whole of it: its other part ends the connection when it is dropped.
        let mut connection = connection;
        while connection.streams.recv().await.is_some() {}
    };
    end.map(|()| futures::stream::empty()).flatten_stream().boxed()
}

async fn write(sinks: BTreeMap<u8, Sink>, mut queue: mpsc::Receiver<(u8, Bytes)>) {
    while let Some((channel, data)) = queue.recv().await {
        let Some(sink) = sinks.get(&channel).filter(|_| !data.is_empty()) else { continue };
        if !sink.send(data).await {
            return;
        }
    }
    for sink in sinks.values() {
        sink.end().await;
    }
}
