//! `-v`: what is told of requests and answers, on standard error (upstream: `client-go/transport`, `debuggingRoundTripper`;
//! `klog`).
//!
//! From 6 on a line for each answer; at 7 the request's headers, too; at 8 the answer's headers and the bodies' first
//! kilobyte; at 9 a curl command and ten kilobytes; from 10 on whole bodies. How long the name's lookup, the connection and
//! the handshake took is not told apart.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use http::{Request, StatusCode};
use meta::text::quoted;

/// How much is told.
#[derive(Clone, Debug, Default)]
pub struct Verbosity {
    level: i64,
    /// The server, as URLs begin with it.
    server: String,
    /// What the client adds to every request.
    added: HeaderMap,
}

/// A request that was told of.
pub struct Asked {
    method: String,
    url: String,
    at: Instant,
}

impl Verbosity {
    /// Of that level, for a server.
    pub fn new(level: i64, server: &str, added: HeaderMap) -> Self {
        Verbosity { level, server: server.trim_end_matches('/').to_owned(), added }
    }

    /// Tells where the configuration comes from.
    pub fn loaded(level: i64, path: &std::path::Path) {
        if level >= 6 {
            tell(line!(), &format!("Config loaded from file:  {}", path.display()));
        }
    }

    /// A request is about to be sent, with that body.
    pub fn asked<B>(&self, request: &Request<B>, body: &[u8]) -> Asked {
        let method = request.method().to_string();
        let url = format!("{}{}", self.server, request.uri());
        if self.level >= 8 {
            self.body("Request Body", body);
        }
        let mut all = request.headers().clone();
        for (name, value) in &self.added {
            all.append(name.clone(), value.clone());
        }
        if self.level >= 9 {
            let shown = all.iter().fold(String::new(), |mut out, (name, value)| {
                let _ = write!(out, " -H {}", quoted(&format!("{}: {}", canonical(name), masked(name, value))));
                out
            });
            tell(line!(), &format!("\"Request\" curlCommand{}", field(&format!("curl -v -X{method} {shown} '{url}'\n"))));
        } else if self.level >= 7 {
            let (verb, at) = (field(&method), field(&url));
            tell(line!(), &format!("\"Request\" verb{verb} url{at} headers{}", field(&headers(&all))));
        }
        Asked { method, url, at: Instant::now() }
    }

    /// The head of the answer is there; none where there was no answer.
    pub fn answered(&self, asked: &Asked, answer: Option<(StatusCode, &HeaderMap)>) {
        if self.level >= 6 {
            tell(line!(), &self.answer(asked, answer, asked.at.elapsed()));
        }
    }

    fn answer(&self, asked: &Asked, answer: Option<(StatusCode, &HeaderMap)>, took: Duration) -> String {
        let mut out = String::from("\"Response\"");
        let mut add = |name: &str, value: &str| {
            let _ = write!(out, " {name}{}", field(value));
        };
        if self.level == 6 || self.level >= 9 {
            add("verb", &asked.method);
            add("url", &asked.url);
        }
        let status = |(code, _): (StatusCode, _)| format!("{} {}", code.as_u16(), code.canonical_reason().unwrap_or_default());
        add("status", &answer.map(status).unwrap_or_default());
        if self.level >= 8 {
            add("headers", &answer.map(|(_, all)| headers(all)).unwrap_or_default());
        }
        let _ = write!(out, " milliseconds={}", took.as_millis());
        out
    }

    /// The body of the answer is there.
    pub fn body_of_answer(&self, body: &[u8]) {
        if self.level >= 8 {
            self.body("Response Body", body);
        }
    }

    fn body(&self, what: &str, body: &[u8]) {
        let most = match self.level {
            8 => 1024,
            9 => 10_240,
            _ => usize::MAX,
        };
        tell(line!(), &format!("\"{what}\" body{}", field(&shown(body, most))));
    }
}

/// The text of a body, or what its bytes are, at most so much of it.
fn shown(body: &[u8], most: usize) -> String {
    let text = match body.iter().any(|byte| *byte < 0x0a) {
        true => dump(body),
        false => String::from_utf8_lossy(body).into_owned(),
    };
    if text.len() <= most {
        return text;
    }
    let end = text.floor_char_boundary(most);
    format!("{} [truncated {} chars]", &text[..end], text.len() - most)
}

/// As `hexdump -C` prints bytes.
fn dump(body: &[u8]) -> String {
    let mut out = String::new();
    for (at, row) in body.chunks(16).enumerate() {
        let _ = write!(out, "{:08x} ", at * 16);
        for column in 0..16 {
            let byte = row.get(column).map_or("  ".to_owned(), |byte| format!("{byte:02x}"));
            let _ = write!(out, " {byte}{}", if column == 7 { " " } else { "" });
        }
        let text: String = row.iter().map(|b| if (32..127).contains(b) { char::from(*b) } else { '.' }).collect();
        let _ = writeln!(out, "  |{text}|");
    }
    out
}

/// A value after its name: on one line in quotes; on several as it is.
fn field(value: &str) -> String {
    if !value.contains('\n') {
        return format!("={}", quoted(value));
    }
    let lines = value.strip_suffix('\n').unwrap_or(value).split('\n');
    let lines = lines.fold(String::new(), |out, line| format!("{out}\t{line}\n"));
    format!("=<\n{lines} >")
}

/// Each header on its line, in the order of the names.
fn headers(all: &HeaderMap) -> String {
    let mut lines: Vec<String> =
        all.iter().map(|(name, value)| format!("{}: {}\n", canonical(name), masked(name, value))).collect();
    lines.sort();
    lines.concat()
}

/// `Content-Type`, as Go writes names.
fn canonical(name: &HeaderName) -> String {
    let mut begins = true;
    let upper = |c: char| {
        let out = if begins { c.to_ascii_uppercase() } else { c };
        begins = c == '-';
        out
    };
    name.as_str().chars().map(upper).collect()
}

/// A value without credentials.
fn masked(name: &HeaderName, value: &HeaderValue) -> String {
    let text = String::from_utf8_lossy(value.as_bytes());
    if name != AUTHORIZATION || text.is_empty() {
        return text.into_owned();
    }
    let (sort, rest) = text.split_once(' ').unwrap_or((&text, ""));
    match sort.to_ascii_lowercase().as_str() {
        "bearer" | "basic" | "negotiate" if rest.is_empty() => sort.to_owned(),
        "bearer" | "basic" | "negotiate" => format!("{sort} <masked>"),
        _ => "<masked>".to_owned(),
    }
}

/// A line with klog's beginning: the level, the date, the process, the place in the source.
fn tell(line: u32, text: &str) {
    let now = jiff::Zoned::now();
    let pid = std::process::id();
    eprintln!("I{} {pid:7} verbosity.rs:{line}] {text}", now.strftime("%m%d %H:%M:%S.%6f"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_as_klog_writes_them() {
        assert_eq!(field("a\"b"), "=\"a\\\"b\"");
        assert_eq!(field("a\nb\n"), "=<\n\ta\n\tb\n >");
        assert_eq!(field("a\nb"), "=<\n\ta\n\tb\n >");
        assert_eq!(field(""), "=\"\"");
    }

    #[test]
    fn bodies_are_cut_and_dumped() {
        assert_eq!(shown(&[b'x'; 30], 10), format!("{} [truncated 20 chars]", "x".repeat(10)));
        let proto = b"k8s\0\n\x0f\n\x02v1\x12\tConf";
        assert_eq!(shown(proto, 1024), "00000000  6b 38 73 00 0a 0f 0a 02  76 31 12 09 43 6f 6e 66  |k8s.....v1..Conf|\n");
        assert_eq!(dump(&[1, b'a']), format!("00000000  01 61{}  |.a|\n", " ".repeat(43)));
    }

    #[test]
    fn answers_by_level() {
        let asked = Asked { method: "GET".into(), url: "https://a/b".into(), at: Instant::now() };
        let mut all = HeaderMap::new();
        all.insert("content-type", HeaderValue::from_static("text/plain"));
        let of = |level: i64| {
            let verbosity = Verbosity::new(level, "https://a/", HeaderMap::new());
            verbosity.answer(&asked, Some((StatusCode::NOT_FOUND, &all)), Duration::from_millis(5))
        };
        let (place, status) = ("verb=\"GET\" url=\"https://a/b\"", "status=\"404 Not Found\"");
        let head = "headers=<\n\tContent-Type: text/plain\n >";
        assert_eq!(of(6), format!("\"Response\" {place} {status} milliseconds=5"));
        assert_eq!(of(7), format!("\"Response\" {status} milliseconds=5"));
        assert_eq!(of(8), format!("\"Response\" {status} {head} milliseconds=5"));
        assert_eq!(of(9), format!("\"Response\" {place} {status} {head} milliseconds=5"));
        let none = Verbosity::new(8, "", HeaderMap::new()).answer(&asked, None, Duration::ZERO);
        assert_eq!(none, "\"Response\" status=\"\" headers=\"\" milliseconds=0");
    }

    #[test]
    fn credentials_are_not_told() {
        let of = |text: &'static str| masked(&AUTHORIZATION, &HeaderValue::from_static(text));
        assert_eq!([of("Bearer secret"), of("secret"), of("Basic")], ["Bearer <masked>", "<masked>", "Basic"]);
    }
}
