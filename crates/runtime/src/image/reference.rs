//! Image names, as Docker normalises them.

use std::fmt;

use crate::Error;

const DEFAULT_DOMAIN: &str = "docker.io";

/// A complete image name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Registry, with port.
    pub domain: String,
    /// Repository.
    pub path: String,
    /// Tag; `latest` when a name has neither tag nor digest.
    pub tag: Option<String>,
    /// `sha256:…`.
    pub digest: Option<String>,
}

impl Reference {
    /// Parses `[domain/]path[:tag][@digest]`.
    pub fn parse(name: &str) -> Result<Self, Error> {
        let invalid = || Error::Image {
            reason: "InvalidImageName",
            message: format!("couldn't parse image name \"{name}\": invalid reference format"),
        };
        let (rest, digest) = match name.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.to_owned())),
            None => (name, None),
        };
        // A colon after the last slash starts a tag; one before it a port.
        let slash = rest.rfind('/').map_or(0, |at| at + 1);
        let (rest, tag) = match rest[slash..].find(':') {
            Some(colon) => (&rest[..slash + colon], Some(rest[slash + colon + 1..].to_owned())),
            None => (rest, None),
        };
        let (domain, path) = split_domain(rest);
        let path = match path.contains('/') || domain != DEFAULT_DOMAIN {
            true => path.to_owned(),
            false => format!("library/{path}"),
        };
        // It would be taken for an image's id.
        let is_id = name.len() == 64 && name.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let good = !is_id
            // What is no name of a host may still be the beginning of a path: upstream looks no closer, and finds no host.
            && (is_domain(&domain) || is_component(&domain))
            && is_repository(&path)
            && domain.len() + path.len() < 255
            && tag.as_deref().is_none_or(is_tag)
            && digest.as_deref().is_none_or(is_digest);
        if !good {
            return Err(invalid());
        }
        let tag = if tag.is_none() && digest.is_none() { Some("latest".to_owned()) } else { tag };
        Ok(Self { domain, path, tag, digest })
    }

    /// Domain and path.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// The name with its tag, if it has one.
    pub fn tagged(&self) -> Option<String> {
        self.tag.as_ref().map(|tag| format!("{}:{tag}", self.repository()))
    }

    /// The name with this digest.
    pub fn with_digest(&self, digest: &str) -> String {
        format!("{}@{digest}", self.repository())
    }

    /// Whether the registry is on this machine: spoken to in plain HTTP, as containerd does.
    pub fn is_loopback(&self) -> bool {
        let host = match self.domain.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => self.domain.split(':').next().unwrap_or_default(),
        };
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// The first part is a domain when it looks like one.
fn split_domain(name: &str) -> (String, &str) {
    match name.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':']) || first == "localhost" || first.chars().any(char::is_uppercase) =>
        {
            let domain = if first == "index.docker.io" { DEFAULT_DOMAIN } else { first };
            (domain.to_owned(), rest)
        }
        _ => (DEFAULT_DOMAIN.to_owned(), name),
    }
}

fn is_domain(domain: &str) -> bool {
    let host_and_port = match domain.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, "")) if is_address(address) => Some(None),
            Some((address, port)) if is_address(address) && port.starts_with(':') => Some(port.strip_prefix(':')),
            _ => return false,
        },
        None => None,
    };
    let (labels, port) = match host_and_port {
        Some(port) => (None, port),
        None => match domain.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(domain), None),
        },
    };
    let label = |l: &str| {
        let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
        edge(l.bytes().next()) && edge(l.bytes().last()) && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    labels.is_none_or(|host| host.split('.').all(label))
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

/// What upstream takes for one; the connection tells whether it is.
fn is_address(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b':')
}

/// Components with slashes in between.
pub(super) fn is_repository(path: &str) -> bool {
    path.split('/').all(is_component)
}

/// Small letters and digits, joined by one dot, one or two underscores, or dashes.
fn is_component(part: &str) -> bool {
    let joins = part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    edge(part.chars().next())
        && edge(part.chars().last())
        && joins
            .filter(|join| !join.is_empty())
            .all(|join| matches!(join, "." | "_" | "__") || join.chars().all(|c| c == '-'))
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= 128 && tag.bytes().next().is_some_and(word) && tag.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
}

/// The only algorithm in use.
pub(super) fn is_digest(digest: &str) -> bool {
    digest
        .strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
}

#[cfg(test)]
#[path = "../../../../tests/upstream/values/judge.rs"]
mod judge;

#[cfg(test)]
mod tests {
    use super::*;

    /// Of digests upstream takes SHA-384 and SHA-512, too, which no image here has: they are not asked for.
    #[test]
    fn names_beside_upstream() {
        const PARTS: &[&str] = &[
            "a", "B", "0", ".", "-", "_", "__", "/", ":", "@", "localhost", "docker.io/", "index.docker.io/", "library/", "r.io", ":5000/", "[::1]",
            "[::1]:80/", "[x]/", ":v1", ":Latest", "//", "é", " ", "127.0.0.1/",
        ];
        let digest = |dice: &mut judge::Dice| format!("@sha256:{}", dice.pick(&["0", "a", "G", "A"]).repeat([64, 64, 64, 63][dice.roll(4)]));
        let make = |dice: &mut judge::Dice| {
            let name = match dice.roll(4) {
                0 => dice.row(PARTS, 6),
                1 => format!("{}{}{}", dice.pick(&["r.io/", "localhost:5000/", "R/", ""]), dice.pick(&["a", "a/b", "a__b/c", "a..b"]), dice.pick(&["", ":1", ":"])),
                2 => "0123456789abcdef".repeat(4),
                _ => dice.hurt("reg.example.com:5000/team/app-1_x:v1.2_3".to_owned(), &[".", "-", "_", ":", "/", "A", "@"]),
            };
            if dice.roll(4) == 0 { name + &digest(dice) } else { name }
        };
        judge::compare("reference", 20_000, make, |text| {
            Reference::parse(text).map(|r| r.to_string()).map_err(|e| e.to_string())
        });
    }

    #[test]
    fn normalises_as_docker() {
        for (name, full) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("nginx:1.27", "docker.io/library/nginx:1.27"),
            ("me/app", "docker.io/me/app:latest"),
            ("index.docker.io/me/app:x", "docker.io/me/app:x"),
            ("localhost/app", "localhost/app:latest"),
            ("127.0.0.1:5000/a/b__c:v1", "127.0.0.1:5000/a/b__c:v1"),
            ("registry.k8s.io/e2e-test-images/agnhost:2.47", "registry.k8s.io/e2e-test-images/agnhost:2.47"),
            ("[::1]:5000/x", "[::1]:5000/x:latest"),
        ] {
            assert_eq!(Reference::parse(name).unwrap().to_string(), full);
        }
        let digest = format!("sha256:{}", "a".repeat(64));
        let with = Reference::parse(&format!("nginx@{digest}")).unwrap();
        assert_eq!((with.tag.as_deref(), with.digest.as_deref()), (None, Some(digest.as_str())));
        assert!(Reference::parse("127.0.0.1:5000/a").unwrap().is_loopback());
    }

    #[test]
    fn refuses_nonsense() {
        for name in ["", "Nginx", "a//b", "a:", "a:b c", "a@sha256:12", "-a/b", "a/b_-c", "a..b/c:", "a/ü"] {
            assert!(Reference::parse(name).is_err(), "{name}");
        }
    }
}
