//! `/logs/`: the machine's own logs, files and directories (upstream: `enableSystemLogHandler`; a file server at
//! `/var/log`, Go's `net/http.FileServer`). The query for logs of services (`enableSystemLogQuery`) is off, as upstream's
//! default is.
//!
//! Whoever may write below the directory, a pod by a `hostPath` say, can put links there: what a path leads to is
//! opened as a place first, and served when it is a file or a directory that lies below.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::StreamExt;
use http::header::{ACCEPT_RANGES, ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use nix::fcntl::OFlag;
use runtime::Root;
use tokio::sync::mpsc;
use transport::{Body, full};

use super::text;

const CHUNK: u64 = 64 << 10;
/// Pieces that wait for the client.
const QUEUE: usize = 4;
/// Most names that a directory is listed with.
const MOST_NAMES: usize = 50_000;
/// Bytes from which is told what sort a file is.
const SAMPLE: usize = 512;
pub(super) const NOT_FOUND: &str = "404 page not found\n";

/// Answers a request for what is at `path` below `top`.
pub async fn answer(top: &Path, path: String, request: &Request<Body>) -> Response<Body> {
    if request.method() != Method::GET {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "405: Method Not Allowed");
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        return refused;
    }
    let (top, uri, headers) = (top.to_owned(), request.uri().clone(), request.headers().clone());
    let looked = tokio::task::spawn_blocking(move || look(&top, &path, &uri, &headers)).await;
    match looked.map_err(io::Error::other) {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) | Err(error) => failed(&error),
    }
}

fn failed(error: &io::Error) -> Response<Body> {
    match error.kind() {
        io::ErrorKind::NotFound => text(StatusCode::NOT_FOUND, NOT_FOUND),
        io::ErrorKind::PermissionDenied => text(StatusCode::FORBIDDEN, "403 Forbidden\n"),
        _ => {
            tracing::debug!(%error, "a log of the machine not served");
            text(StatusCode::INTERNAL_SERVER_ERROR, "500 Internal Server Error\n")
        }
    }
}

fn look(top: &Path, path: &str, uri: &Uri, headers: &HeaderMap) -> io::Result<Response<Body>> {
    let found = find(top, path)?;
    let is_directory = found.metadata()?.is_dir();
    // Go answers with a path relative to the one that was asked for.
    let last = uri.path().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    match (is_directory, uri.path().ends_with('/')) {
        (true, false) => Ok(moved(&format!("{last}/"), uri)),
        (false, true) => Ok(moved(&format!("../{last}"), uri)),
        (true, true) => list(&found),
        (false, false) => serve(found, headers),
    }
}

/// Opens a file or a directory that lies below `top`. Anything else is not there.
fn find(top: &Path, path: &str) -> io::Result<File> {
    let hidden = || io::Error::from(io::ErrorKind::NotFound);
    // From the root of the machine on: upstream's links to logs of containers are absolute.
    let top = fs::canonicalize(top)?;
    let below: PathBuf = Path::new(path).components().filter(|part| matches!(part, std::path::Component::Normal(_))).collect();
    let place = Root::open(Path::new("/"))?.find(&top.join(below), OFlag::O_PATH).map_err(|errno| match errno {
        nix::errno::Errno::EACCES | nix::errno::Errno::EPERM => io::Error::from(errno),
        // No such name, one in a file, a loop of links, a magic one: to who asks it is all the same.
        _ => hidden(),
    })?;
    if !lies_at(&place)?.starts_with(&top) {
        return Err(hidden());
    }
    let kind = File::from(place.as_fd().try_clone_to_owned()?).metadata()?;
    if !kind.is_file() && !kind.is_dir() {
        return Err(hidden());
    }
    // The very same, and not what has its name by now.
    let same = format!("/proc/self/fd/{}", place.as_raw_fd());
    File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(same)
}

fn lies_at(place: &OwnedFd) -> io::Result<PathBuf> {
    fs::read_link(format!("/proc/self/fd/{}", place.as_raw_fd()))
}

fn moved(to: &str, uri: &Uri) -> Response<Body> {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut answer = Response::new(full(""));
    *answer.status_mut() = StatusCode::MOVED_PERMANENTLY;
    if let Ok(value) = HeaderValue::from_str(&format!("{to}{query}")) {
        answer.headers_mut().insert(LOCATION, value);
    }
    answer
}

/// A directory as Go lists it.
fn list(directory: &File) -> io::Result<Response<Body>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(format!("/proc/self/fd/{}", directory.as_raw_fd()))? {
        let entry = entry?;
        if names.len() == MOST_NAMES {
            return Ok(text(StatusCode::INTERNAL_SERVER_ERROR, "Error reading directory\n"));
        }
        let end = if entry.file_type()?.is_dir() { "/" } else { "" };
        names.push(entry.file_name().to_string_lossy().into_owned() + end);
    }
    names.sort();
    let mut page = "<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n".to_owned();
    for name in names {
        let _ = writeln!(page, "<a href=\"{}\">{}</a>", link(&name), escaped(&name));
    }
    page.push_str("</pre>\n");
    let mut answer = text(StatusCode::OK, &page);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    Ok(answer)
}

/// A name as a reference: what is no plain character of a path is its bytes' numbers; a colon could begin a scheme.
fn link(name: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@".contains(&b);
    let mut out = if name.split('/').next().is_some_and(|first| first.contains(':')) { "./".to_owned() } else { String::new() };
    for byte in name.bytes() {
        match plain(byte) {
            true if byte == b'&' => out.push_str("&amp;"),
            true => out.push(char::from(byte)),
            false => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// A file as long as it is now: what is written to it meanwhile is for the next who asks.
fn serve(file: File, headers: &HeaderMap) -> io::Result<Response<Body>> {
    let size = file.metadata()?.size();
    let mut sample = [0; SAMPLE];
    let read = file.read_at(&mut sample, 0)?;
    let kind = kind_of(&sample[..read]);
    let asked = headers.get(RANGE).and_then(|value| value.to_str().ok());
    let range = match asked.map(|asked| range(asked, size)) {
        None | Some(Range::All) => None,
        Some(Range::Part(first, last)) => Some((first, last)),
        Some(Range::Beyond) => {
            let mut answer = text(StatusCode::RANGE_NOT_SATISFIABLE, "invalid range: failed to overlap\n");
            answer.headers_mut().insert(CONTENT_RANGE, number(&format!("bytes */{size}")));
            return Ok(answer);
        }
    };
    let (from, length) = range.map_or((0, size), |(first, last)| (first, last - first + 1));
    let mut answer = Response::new(stream(file, from, length));
    let own = answer.headers_mut();
    own.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    own.insert(CONTENT_LENGTH, length.into());
    own.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // What others write is shown to nobody as a page.
    own.insert(http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some((first, last)) = range {
        own.insert(CONTENT_RANGE, number(&format!("bytes {first}-{last}/{size}")));
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(answer)
}

pub(super) fn number(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

fn kind_of(sample: &[u8]) -> &'static str {
    let is_binary = |b: &u8| matches!(b, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f);
    match sample {
        [0x1f, 0x8b, 0x08, ..] => "application/x-gzip",
        _ if sample.iter().any(is_binary) => "application/octet-stream",
        _ => "text/plain; charset=utf-8",
    }
}

#[derive(Debug, PartialEq)]
enum Range {
    /// Not a range that is known here, which may be passed over.
    All,
    /// From and to, both included.
    Part(u64, u64),
    /// Nothing of it is there.
    Beyond,
}

fn range(text: &str, size: u64) -> Range {
    let part = text.strip_prefix("bytes=").filter(|part| !part.contains(',')).and_then(|part| part.trim().split_once('-'));
    let Some((first, last)) = part else { return Range::All };
    match (first.parse::<u64>().ok(), last.parse::<u64>().ok()) {
        (None, Some(count)) if first.is_empty() && count > 0 && size > 0 => Range::Part(size.saturating_sub(count), size - 1),
        (None, Some(_)) if first.is_empty() => Range::Beyond,
        (Some(first), _) if first >= size => Range::Beyond,
        (Some(first), None) if last.is_empty() => Range::Part(first, size - 1),
        (Some(first), Some(last)) if first <= last => Range::Part(first, last.min(size - 1)),
        _ => Range::All,
    }
}

/// The part of a file, read as fast as it is taken.
fn stream(file: File, from: u64, length: u64) -> Body {
    let (sender, pieces) = mpsc::channel::<io::Result<Bytes>>(QUEUE);
    tokio::task::spawn_blocking(move || {
        let mut at = from;
        while at < from + length {
            let mut buffer = vec![0; usize::try_from(CHUNK.min(from + length - at)).unwrap_or(0)];
            let read = match file.read_at(&mut buffer, at) {
                // It is shorter by now: the answer must not look whole.
                Ok(0) => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                Ok(n) => {
                    buffer.truncate(n);
                    at += n as u64;
                    Ok(Bytes::from(buffer))
                }
                Err(error) => Err(error),
            };
            let failed = read.is_err();
            if sender.blocking_send(read).is_err() || failed {
                return;
            }
        }
    });
    let pieces = futures::stream::unfold(pieces, |mut p| async move { Some((p.recv().await?, p)) });
    BodyExt::boxed(StreamBody::new(pieces.map(|piece| piece.map(Frame::data).map_err(transport::Error::from))))
}
