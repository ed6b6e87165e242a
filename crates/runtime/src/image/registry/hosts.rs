//! What the node's owner says about registries: `certs.d/<registry>/hosts.toml`, as containerd reads it.
//!
//! A registry with a port has the directory `<name>_<port>_` or `<name>:<port>`; `_default` is for all that have none.
//! Without the file, a directory may hold Docker's certificates (`*.crt`, `*.cert` with `*.key`). A key that is unknown
//! is an error that names it: a mistake must not send what is secret somewhere else.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use regex::Regex;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use toml::{Table, Value};

use crate::limits;

/// One host that serves a registry's images.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Scheme, host, and where its API begins (`…/v2`), without a slash at the end. `None`: where the registry's name
    /// says.
    pub url: Option<Url>,
    /// Whether tags are asked of it.
    pub resolve: bool,
    /// Whether what has a digest is.
    pub pull: bool,
    /// Whether images are sent there.
    pub push: bool,
    /// How it is trusted.
    pub tls: Tls,
    /// Sent with every request to this host.
    pub header: HeaderMap,
    /// Patterns of repositories, and what it calls them; the first that fits counts.
    pub rewrite: Vec<(Regex, String)>,
    /// It is the registry itself, not a mirror.
    pub server: bool,
}

/// What a connection differs in from others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Tls {
    /// Authorities beside the system's.
    pub ca: Vec<PathBuf>,
    /// Certificate and key; the key may be in the certificate's file.
    pub client: Option<(PathBuf, Option<PathBuf>)>,
    /// Nobody's certificate is looked at.
    pub skip_verify: bool,
    /// The longest until a connection is there.
    pub dial_timeout: Option<Duration>,
}

type Parsed<T> = Result<T, String>;

impl Entry {
    /// The registry itself, where nothing is said about it.
    fn registry() -> Self {
        Self {
            url: None,
            resolve: true,
            pull: true,
            push: true,
            tls: Tls::default(),
            header: HeaderMap::new(),
            rewrite: Vec::new(),
            server: true,
        }
    }
}

/// The hosts of a registry, in the order in which they are asked. The errors name the file.
pub(super) fn of(root: Option<&Path>, domain: &str) -> Parsed<Vec<Entry>> {
    let Some(dir) = root.and_then(|root| dir(root, domain)) else { return Ok(vec![Entry::registry()]) };
    let path = dir.join("hosts.toml");
    let fail = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let mut text = String::new();
    match fs::File::open(&path).and_then(|file| file.take(limits::DOCUMENT + 1).read_to_string(&mut text)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(fail(&e)),
        Ok(length) if length as u64 > limits::DOCUMENT => return Err(fail(&"it is too long")),
        Ok(_) => {}
    }
    match text.is_empty() {
        true => certificates(&dir).map_err(|e| format!("{}: {e}", dir.display())),
        false => parse(&text, &dir).map_err(|e| fail(&e)),
    }
}

fn dir(root: &Path, domain: &str) -> Option<PathBuf> {
    let with_port = domain.rsplit_once(':').map(|(name, port)| format!("{name}_{port}_"));
    let names = with_port.into_iter().chain([domain.to_owned(), "_default".to_owned()]);
    names.map(|name| root.join(name)).find(|path| path.is_dir())
}

/// Docker's layout of a directory.
fn certificates(dir: &Path) -> io::Result<Vec<Entry>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    paths.sort();
    let mut entry = Entry::registry();
    for path in paths {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => entry.tls.ca.push(path),
            Some("cert") => {
                let key = path.with_extension("key");
                entry.tls.client = Some((path, key.is_file().then_some(key)));
            }
            _ => {}
        }
    }
    Ok(vec![entry])
}

fn parse(text: &str, dir: &Path) -> Parsed<Vec<Entry>> {
    let mut table: Table = text.parse().map_err(|e: toml::de::Error| e.to_string().trim().replace('\n', " "))?;
    let hosts = match table.remove("host") {
        None => Table::new(),
        Some(Value::Table(hosts)) => hosts,
        Some(_) => return Err("host is no table".to_owned()),
    };
    let server = match table.remove("server") {
        None => None,
        Some(Value::String(server)) if server.is_empty() => None,
        Some(Value::String(server)) => Some(server),
        Some(_) => return Err("server is no text".to_owned()),
    };
    let mut entries = Vec::new();
    for (name, value) in hosts {
        let place = format!("host.{name:?}");
        let Value::Table(table) = value else { return Err(format!("{place} is no table")) };
        let entry = entry(Some(&name), table, dir).map_err(|why| format!("{place}: {why}"))?;
        entries.push(Entry { server: false, ..entry });
    }
    entries.push(entry(server.as_deref(), table, dir)?);
    Ok(entries)
}

fn entry(name: Option<&str>, table: Table, dir: &Path) -> Parsed<Entry> {
    let mut entry = Entry::registry();
    let mut override_path = false;
    for (key, value) in table {
        let wrong = || format!("{key} is not as it should be");
        match (key.as_str(), value) {
            ("capabilities", value) => capabilities(&mut entry, &texts(value).ok_or_else(wrong)?)?,
            ("ca", value) => entry.tls.ca = texts(value).ok_or_else(wrong)?.iter().map(|path| dir.join(path)).collect(),
            ("client", value) => entry.tls.client = client(value, dir)?,
            ("skip_verify", Value::Boolean(skip)) => entry.tls.skip_verify = skip,
            ("override_path", Value::Boolean(value)) => override_path = value,
            ("dial_timeout", Value::String(text)) => entry.tls.dial_timeout = Some(patience(&text).ok_or_else(wrong)?),
            ("header", Value::Table(list)) => entry.header = header(list)?,
            ("rewrite", Value::Table(list)) => entry.rewrite = rewrite(list)?,
            ("skip_verify" | "override_path" | "dial_timeout" | "header" | "rewrite", _) => return Err(wrong()),
            _ => return Err(format!("unknown key {key:?}")),
        }
    }
    entry.url = name.map(|name| url(name, override_path)).transpose()?;
    Ok(entry)
}

/// Where the API of a host begins.
/// A Go duration that is more than nothing.
fn patience(text: &str) -> Option<Duration> {
    let nanos = meta::duration::parse(text).ok().and_then(|nanos| u64::try_from(nanos).ok());
    nanos.filter(|nanos| *nanos > 0).map(Duration::from_nanos)
}

fn url(name: &str, override_path: bool) -> Parsed<Url> {
    let text = if name.contains("://") { name.to_owned() } else { format!("https://{name}") };
    let wrong = |why: &dyn std::fmt::Display| format!("unable to parse server {name:?}: {why}");
    let mut url = Url::parse(&text).map_err(|e| wrong(&e))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() || url.query().is_some() {
        return Err(wrong(&"it is no http or https address of a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(&"credentials do not stand in addresses"));
    }
    // Docker's name is not where its registry is.
    if url.host_str() == Some("docker.io") {
        url.set_host(Some("registry-1.docker.io")).map_err(|e| wrong(&e))?;
    }
    let path = url.path().trim_end_matches('/').to_owned();
    let path = if path.ends_with("/v2") || override_path { path } else { format!("{path}/v2") };
    url.set_path(&path);
    Ok(url)
}

/// A text or a list of texts.
fn texts(value: Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(list) => list.into_iter().map(|value| value.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

fn capabilities(entry: &mut Entry, names: &[String]) -> Parsed<()> {
    if names.is_empty() {
        return Ok(());
    }
    (entry.resolve, entry.pull, entry.push) = (false, false, false);
    for name in names {
        match name.to_lowercase().as_str() {
            "resolve" => entry.resolve = true,
            "pull" => entry.pull = true,
            "push" => entry.push = true,
            // Nothing here asks for them.
            "referrers" => {}
            _ => return Err(format!("unknown capability {name:?}")),
        }
    }
    Ok(())
}

/// One file, or a list of one file or of one pair of files.
fn client(value: Value, dir: &Path) -> Parsed<Option<(PathBuf, Option<PathBuf>)>> {
    let wrong = || "client is neither a file nor a pair of certificate and key".to_owned();
    let pair = |list: Vec<String>| match list.as_slice() {
        [both] => Ok(Some((dir.join(both), None))),
        [certificate, key] => Ok(Some((dir.join(certificate), Some(dir.join(key))))),
        _ => Err(wrong()),
    };
    match value {
        Value::Array(list) if list.is_empty() => Ok(None),
        Value::Array(list) if list.len() > 1 => Err("client: more than one certificate".to_owned()),
        Value::Array(mut list) => pair(list.pop().and_then(texts).ok_or_else(wrong)?),
        value => pair(texts(value).ok_or_else(wrong)?),
    }
}

fn header(list: Table) -> Parsed<HeaderMap> {
    let mut header = HeaderMap::new();
    for (key, value) in list {
        let wrong = || format!("header {key:?} is not as it should be");
        let name = HeaderName::try_from(key.as_str()).map_err(|_| wrong())?;
        for text in texts(value).ok_or_else(wrong)? {
            let mut value = HeaderValue::try_from(text).map_err(|_| wrong())?;
            value.set_sensitive(true);
            header.append(name.clone(), value);
        }
    }
    Ok(header)
}

/// Patterns and what stands for them. Where Go's patterns and these differ (letters that are no ASCII, `\Q…\E`), names of
/// repositories have no such letters, and what is not known here is refused.
fn rewrite(list: Table) -> Parsed<Vec<(Regex, String)>> {
    let one = |(pattern, value): (String, Value)| {
        let regex = Regex::new(&pattern).map_err(|_| format!("rewrite {pattern:?} is no pattern"))?;
        let text = value.as_str().ok_or_else(|| format!("rewrite {pattern:?} is not as it should be"))?;
        Ok((regex, text.to_owned()))
    };
    list.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Parsed<Vec<Entry>> {
        parse(text, Path::new("/d"))
    }

    #[test]
    fn nobody_waits_for_no_time() {
        assert_eq!(patience("1m30s"), Some(Duration::from_secs(90)));
        for odd in ["", "0", "0s", "10", "-1s", "1d"] {
            assert_eq!(patience(odd), None, "{odd}");
        }
    }

    #[test]
    fn hosts_are_as_the_file_has_them() {
        let entries = read(r#"
            server = "https://docker.io"
            ca = "own.crt"
            [host."https://z.example.com:5000"]
              capabilities = ["pull", "Resolve"]
              ca = ["a.crt", "/b.crt"]
              client = [["c.cert", "c.key"]]
              skip_verify = true
              dial_timeout = "1m30s"
              [host."https://z.example.com:5000".header]
                x-one = "1"
                x-two = ["2", "3"]
              [host."https://z.example.com:5000".rewrite]
                "^library/(.*)" = "mirror/$1"
            [host."http://a.example.com/prefix/v2"]
              override_path = true
            [host."b.example.com/prefix"]
        "#)
        .unwrap();
        let urls: Vec<_> = entries.iter().map(|e| (e.url.as_ref().unwrap().to_string(), e.server)).collect();
        let urls: Vec<_> = urls.iter().map(|(url, server)| (url.as_str(), *server)).collect();
        assert_eq!(urls, [
            ("https://z.example.com:5000/v2", false),
            ("http://a.example.com/prefix/v2", false),
            ("https://b.example.com/prefix/v2", false),
            ("https://registry-1.docker.io/v2", true),
        ]);
        let first = &entries[0];
        assert_eq!((first.resolve, first.pull, first.push), (true, true, false));
        assert_eq!(first.tls, Tls {
            ca: vec!["/d/a.crt".into(), "/b.crt".into()],
            client: Some(("/d/c.cert".into(), Some("/d/c.key".into()))),
            skip_verify: true,
            dial_timeout: Some(Duration::from_secs(90)),
        });
        assert_eq!((first.header.len(), first.header["x-two"].to_str().unwrap()), (3, "2"));
        assert_eq!(first.rewrite[0].0.replace("library/nginx", &first.rewrite[0].1), "mirror/nginx");
        assert_eq!(entries[3].tls.ca, [Path::new("/d/own.crt")]);
        assert!(read("skip_verify = true").unwrap()[0].url.is_none());
    }

    #[test]
    fn mistakes_are_told() {
        for (text, why) in [
            ("sever = \"x\"", "unknown key \"sever\""),
            ("[host.\"https://a\"]\nskip-verify = true", "host.\"https://a\": unknown key \"skip-verify\""),
            ("[host.\"https://a\"]\ncapabilities = [\"fly\"]", "host.\"https://a\": unknown capability \"fly\""),
            ("skip_verify = \"yes\"", "skip_verify is not as it should be"),
            ("dial_timeout = \"soon\"", "dial_timeout is not as it should be"),
            ("server = \"ftp://a\"", "unable to parse server \"ftp://a\": it is no http or https address of a host"),
            ("server = \"https://me:secret@a\"", "unable to parse server \"https://me:secret@a\": credentials do not stand in addresses"),
            ("[rewrite]\n\"(\" = \"x\"", "rewrite \"(\" is no pattern"),
            ("client = [\"a\", \"b\"]", "client: more than one certificate"),
        ] {
            assert_eq!(read(text).unwrap_err(), why);
        }
        assert!(read("[host").unwrap_err().contains("TOML parse error"));
    }

    #[test]
    fn directories_are_containerds() {
        let root = tempfile::tempdir().unwrap();
        let make = |name: &str, text: &str| {
            fs::create_dir_all(root.path().join(name)).unwrap();
            fs::write(root.path().join(name).join("hosts.toml"), text).unwrap();
        };
        let server = |domain: &str| {
            let entry = of(Some(root.path()), domain).unwrap().remove(0);
            entry.url.map(|url| url.host_str().unwrap().to_owned())
        };
        assert_eq!(server("a.io:5000"), None);
        make("_default", "server = \"https://default\"");
        make("a.io", "server = \"https://a\"");
        assert_eq!(server("a.io:5000").as_deref(), Some("default"));
        make("a.io:5000", "server = \"https://colon\"");
        assert_eq!(server("a.io:5000").as_deref(), Some("colon"));
        make("a.io_5000_", "server = \"https://under\"");
        assert_eq!((server("a.io:5000").as_deref(), server("a.io").as_deref()), (Some("under"), Some("a")));
        make("a.io", "x = 1");
        let error = of(Some(root.path()), "a.io").unwrap_err();
        assert!(error.ends_with("/a.io/hosts.toml: unknown key \"x\""), "{error}");
        make("b.io", "");
        for name in ["own.crt", "me.cert", "me.key"] {
            fs::write(root.path().join("b.io").join(name), "").unwrap();
        }
        let entry = of(Some(root.path()), "b.io").unwrap().remove(0);
        assert_eq!(entry.tls.ca, [root.path().join("b.io/own.crt")]);
        assert_eq!(entry.tls.client, Some((root.path().join("b.io/me.cert"), Some(root.path().join("b.io/me.key")))));
    }
}
