//! The first line of a connection's first request over HTTP/1.1: of a query that is longer than a URI may be, the library
//! below gets the beginning, and the request gets the rest ([`transport::long`]). Commands to be executed stand in queries,
//! and they come on connections of their own.

use std::sync::{Arc, LazyLock};

use http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use transport::long::{IN_URI, Rest};

use crate::limits::{LINE, LONG_LINES};

static ROOM: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(LONG_LINES)));

/// Places of lines that are too long, and of heads over HTTP/2.
pub fn room() -> Arc<Semaphore> {
    ROOM.clone()
}

/// What has become of a line that was too long: the rest of its query, or why there is no answer but this.
pub type Cut = Result<Rest, StatusCode>;

/// The rest of a path over HTTP/2; an empty one is that of a path which is too long altogether.
pub fn rest(text: &str) -> Cut {
    if text.is_empty() {
        return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    let permit = room().try_acquire_owned().map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(Rest::new(text, Some(permit)))
}

/// Watches the line go by.
pub struct FirstLine {
    state: State,
    rest: String,
    permit: Option<OwnedSemaphorePermit>,
    refused: Option<StatusCode>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing is cut as long as it is short: what may still come, and what came of it.
    Short { left: usize, spaces: usize, query: bool },
    /// The rest of the query is kept back.
    Cutting,
    /// The line, or what matters of it, is over.
    Over,
}

impl FirstLine {
    /// Before the first byte.
    pub fn new() -> Self {
        let state = State::Short { left: IN_URI, spaces: 0, query: false };
        FirstLine { state, rest: String::new(), permit: None, refused: None }
    }

    /// Takes what is to be kept back out of the bytes that came; returns how many are left, from the beginning on.
    pub fn pass(&mut self, bytes: &mut [u8]) -> usize {
        match self.state {
            State::Over => bytes.len(),
            State::Cutting => self.cut(bytes),
            State::Short { left, spaces, query } => {
                let part = &bytes[..left.min(bytes.len())];
                let spaces = spaces + part.iter().filter(|byte| **byte == b' ').count();
                let (query, left) = (query || part.contains(&b'?'), left - part.len());
                // After its second blank the line says nothing but the version.
                if part.contains(&b'\n') || spaces > 1 || (left == 0 && !query) {
                    self.state = State::Over;
                } else if left > 0 {
                    self.state = State::Short { left, spaces, query };
                } else {
                    let kept = part.len();
                    self.state = State::Cutting;
                    return kept + self.cut(&mut bytes[kept..]);
                }
                bytes.len()
            }
        }
    }

    fn cut(&mut self, bytes: &mut [u8]) -> usize {
        let end = bytes.iter().position(|byte| matches!(byte, b' ' | b'\r' | b'\n'));
        self.keep(&bytes[..end.unwrap_or(bytes.len())]);
        let Some(end) = end else { return 0 };
        self.state = State::Over;
        bytes.copy_within(end.., 0);
        bytes.len() - end
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.permit.is_none() && !bytes.is_empty() && self.refused.is_none() {
            self.permit = room().try_acquire_owned().ok();
            self.refuse(self.permit.is_none(), StatusCode::SERVICE_UNAVAILABLE);
        }
        self.refuse(!bytes.iter().all(u8::is_ascii_graphic), StatusCode::BAD_REQUEST);
        self.refuse(self.rest.len() + bytes.len() > LINE - IN_URI, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        match self.refused {
            Some(_) => (self.rest, self.permit) = (String::new(), None),
            None => self.rest.extend(bytes.iter().map(|byte| char::from(*byte))),
        }
    }

    fn refuse(&mut self, so: bool, code: StatusCode) {
        if so && self.refused.is_none() {
            self.refused = Some(code);
        }
    }

    /// Once the line is over: what was kept back, if anything was.
    pub fn over(&mut self) -> Option<Option<Cut>> {
        if self.state != State::Over {
            return None;
        }
        if let Some(code) = self.refused {
            return Some(Some(Err(code)));
        }
        let rest = std::mem::take(&mut self.rest);
        Some((!rest.is_empty()).then(|| Ok(Rest::new(&rest, self.permit.take()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What passes of a head that comes in parts of that size, and what is kept back.
    fn read(head: &str, part: usize) -> (String, Option<Cut>) {
        let (mut line, mut passed, mut cut) = (FirstLine::new(), Vec::new(), None);
        for part in head.as_bytes().chunks(part) {
            let mut part = part.to_vec();
            let kept = line.pass(&mut part);
            passed.extend_from_slice(&part[..kept]);
            cut = line.over().flatten().or(cut);
        }
        (String::from_utf8(passed).expect("text"), cut)
    }

    fn head(query: &str) -> String {
        format!("GET /p?{query} HTTP/1.1\r\nhost: a b c\r\n\r\n")
    }

    #[test]
    fn only_the_rest_of_a_long_query_is_kept_back() {
        let lengths = (IN_URI - 30..IN_URI + 30).chain([0, 1, 100_000, LINE - 100]);
        for query in lengths.map(|length| "x".repeat(length)) {
            for part in [7, 1000, 1 << 22].into_iter().skip(usize::from(query.len() > 50_000)) {
                let head = head(&query);
                let (passed, cut) = read(&head, part);
                let rest = cut.map(|cut| cut.expect("room").text().to_owned()).unwrap_or_default();
                let cut_at = passed.find(" HTTP").expect("a version");
                assert_eq!(format!("{}{rest}{}", &passed[..cut_at], &passed[cut_at..]), head);
                assert!(cut_at <= IN_URI && (rest.is_empty() || cut_at == IN_URI), "{cut_at} {}", rest.len());
            }
        }
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        let code = |head: &str| read(head, 4096).1.expect("cut").expect_err("refused").as_u16();
        assert_eq!(code(&head(&"x".repeat(LINE))), 431);
        assert_eq!(code(&head(&format!("{}\u{1}", "x".repeat(IN_URI)))), 400);
        let path = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(LINE));
        let (passed, cut) = read(&path, 4096);
        assert!(passed == path && cut.is_none(), "there is nothing to cut");
    }
}
