//! URLs as Go's `net/url` reads them.

/// A URL in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Before the colon; empty: none.
    pub scheme: String,
    opaque: String,
    user: Option<String>,
    /// With the port.
    pub host: String,
    path: Vec<u8>,
    raw_path: String,
    /// Behind the question mark.
    pub query: String,
    fragment: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Path,
    Host,
    Query,
}

fn unreserved(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-_.~".contains(&b)
}

/// Whether a byte of a path is written as an escape.
fn path_escapes(b: u8) -> bool {
    !unreserved(b) && !b"$&+,/:;=@".contains(&b)
}

fn escape_path(path: &[u8]) -> String {
    path.iter().map(|b| if path_escapes(*b) { format!("%{b:02X}") } else { char::from(*b).to_string() }).collect()
}

fn unescape(text: &str, place: Place) -> Result<Vec<u8>, String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                let digits = bytes.get(at + 1..at + 3).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
                let shown = || String::from_utf8_lossy(&bytes[at..bytes.len().min(at + 3)]).into_owned();
                let Some(digits) = digits else { return Err(format!("invalid URL escape {}", crate::text::quoted(&shown()))) };
                if place == Place::Host && digits[0] < b'8' && digits != b"25" {
                    return Err(format!("invalid URL escape {}", crate::text::quoted(&shown())));
                }
                let code = std::str::from_utf8(digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok());
                out.extend(code);
                at += 3;
                continue;
            }
            b'+' if place == Place::Query => out.push(b' '),
            b if place == Place::Host && b < 0x80 && !unreserved(b) && !b"!$&'()*+,;=:[]<>\"".contains(&b) => {
                return Err(format!("invalid character {} in host name", crate::text::quoted(&char::from(b).to_string())));
            }
            b => out.push(b),
        }
        at += 1;
    }
    Ok(out)
}

/// Scheme and what follows it.
fn scheme(text: &str) -> Result<(&str, &str), &'static str> {
    for (at, b) in text.bytes().enumerate() {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("missing protocol scheme"),
            b':' => return Ok((&text[..at], &text[at + 1..])),
            _ => break,
        }
    }
    Ok(("", text))
}

fn port_is_right(port: &str) -> bool {
    port.is_empty() || port.strip_prefix(':').is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
}

fn host(text: &str) -> Result<String, String> {
    let port = if text.starts_with('[') {
        let Some(end) = text.rfind(']') else { return Err("missing ']' in host".to_owned()) };
        &text[end + 1..]
    } else {
        text.rfind(':').map_or("", |at| &text[at..])
    };
    if !port_is_right(port) {
        return Err(format!("invalid port {} after host", crate::text::quoted(port)));
    }
    unescape(text, Place::Host).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn user_is_right(user: &str) -> bool {
    user.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&b))
}

/// As a request names what it wants: absolute, and all of it without a fragment.
pub fn parse_request(text: &str) -> Result<Url, String> {
    read(text, true).map_err(|why| format!("parse {}: {why}", crate::text::quoted(text)))
}

/// As it stands in a document.
pub fn parse(text: &str) -> Result<Url, String> {
    let (front, fragment) = text.split_once('#').map_or((text, None), |(front, fragment)| (front, Some(fragment)));
    let wrap = |why: String| format!("parse {}: {why}", crate::text::quoted(text));
    let mut url = read(front, false).map_err(wrap)?;
    if let Some(fragment) = fragment {
        unescape(fragment, Place::Path).map_err(wrap)?;
        url.fragment = Some(fragment.to_owned());
    }
    Ok(url)
}

fn read(text: &str, request: bool) -> Result<Url, String> {
    if text.bytes().any(|b| b < b' ' || b == 0x7f) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    if text.is_empty() && request {
        return Err("empty url".to_owned());
    }
    let mut url = Url {
        scheme: String::new(),
        opaque: String::new(),
        user: None,
        host: String::new(),
        path: Vec::new(),
        raw_path: String::new(),
        query: String::new(),
        fragment: None,
    };
    if text == "*" {
        url.path = b"*".to_vec();
        url.raw_path = text.to_owned();
        return Ok(url);
    }
    let (name, rest) = scheme(text)?;
    url.scheme = name.to_ascii_lowercase();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    url.query = query.to_owned();
    let mut rest = rest;
    if !rest.starts_with('/') {
        if !url.scheme.is_empty() {
            url.opaque = rest.to_owned();
            return Ok(url);
        }
        if request {
            return Err("invalid URI for request".to_owned());
        }
        if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
    }
    if (!url.scheme.is_empty() || !request && !rest.starts_with("///"))
        && let Some(behind) = rest.strip_prefix("//")
    {
        let (authority, path) = behind.split_at(behind.find('/').unwrap_or(behind.len()));
        rest = path;
        let (user, name) = authority.rsplit_once('@').map_or((None, authority), |(user, name)| (Some(user), name));
        url.host = host(name)?;
        if let Some(user) = user {
            if !user_is_right(user) {
                return Err("net/url: invalid userinfo".to_owned());
            }
            unescape(user, Place::Path)?;
            url.user = Some(user.to_owned());
        }
    }
    url.path = unescape(rest, Place::Path)?;
    url.raw_path = rest.to_owned();
    Ok(url)
}

impl Url {
    /// The path as it was written, where that is a right way to write it.
    pub fn escaped_path(&self) -> String {
        let right = |b: u8| b"!$&'()*+,;=:@[]%".contains(&b) || !path_escapes(b);
        if self.raw_path.bytes().all(right) { self.raw_path.clone() } else { escape_path(&self.path) }
    }

    /// Host and port.
    fn parts(&self) -> (&str, &str) {
        let (host, port) = match self.host.rfind(':').filter(|at| port_is_right(&self.host[*at..])) {
            Some(at) => (&self.host[..at], &self.host[at + 1..]),
            None => (&*self.host, ""),
        };
        (host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host), port)
    }

    /// Who asks, with the password, if the URL says so.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Behind the number sign, if there is one.
    pub fn fragment(&self) -> Option<&str> {
        self.fragment.as_deref()
    }

    /// The host alone.
    pub fn hostname(&self) -> &str {
        self.parts().0
    }

    /// The port, or nothing.
    pub fn port(&self) -> &str {
        self.parts().1
    }

    /// The query's values by their keys; what is broken is left out.
    pub fn values(&self) -> Vec<(String, Vec<String>)> {
        let mut all: Vec<(String, Vec<String>)> = Vec::new();
        for pair in self.query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';')) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let read = |text| unescape(text, Place::Query).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            let (Ok(key), Ok(value)) = (read(key), read(value)) else { continue };
            match all.iter_mut().find(|(known, _)| *known == key) {
                Some((_, values)) => values.push(value),
                None => all.push((key, vec![value])),
            }
        }
        all
    }

    /// As text.
    pub fn text(&self) -> String {
        let mut out = if self.scheme.is_empty() { String::new() } else { format!("{}:", self.scheme) };
        if self.opaque.is_empty() {
            if !self.host.is_empty() || self.user.is_some() {
                let user = self.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
                out.push_str(&format!("//{user}{}", self.host));
            }
            out.push_str(&self.escaped_path());
        } else {
            out.push_str(&self.opaque);
        }
        if !self.query.is_empty() {
            out.push_str(&format!("?{}", self.query));
        }
        if let Some(fragment) = self.fragment.as_ref().filter(|fragment| !fragment.is_empty()) {
            out.push_str(&format!("#{fragment}"));
        }
        out
    }
}
