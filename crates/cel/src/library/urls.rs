//! URLs (upstream: Kubernetes' `urls.go`).

use std::any::Any;
use std::sync::Arc;

use meta::url::{self, Url};
use super::{Library, Row, function, method, mismatch};
use crate::cost::Cost;
use crate::value::{Error, Map, Opaque, Outcome, Pairs, Value};

const U: &str = "kubernetes.URL";

pub(super) const LIBRARY: Library = Library {
    name: "kubernetes.urls",
    types: &[U],
    rows: &[
        function("url", "string_to_url", "string", U, Cost::Copied, to_url),
        part("getScheme", "url_get_scheme", |args| part_of(args, |url| url.scheme.clone())),
        part("getHost", "url_get_host", |args| part_of(args, |url| url.host.clone())),
        part("getHostname", "url_get_hostname", |args| part_of(args, |url| url.hostname().to_owned())),
        part("getPort", "url_get_port", |args| part_of(args, |url| url.port().to_owned())),
        part("getEscapedPath", "url_get_escaped_path", |args| part_of(args, Url::escaped_path)),
        method("getQuery", "url_get_query", U, "map(string, list(string))", Cost::Fixed(1), query),
        function("isURL", "is_url_string", "string", "bool", Cost::One, is_url),
    ],
};

const fn part(name: &'static str, overload: &'static str, run: super::Run) -> Row {
    method(name, overload, U, "string", Cost::Fixed(1), run)
}

impl Opaque for Url {
    fn type_name(&self) -> &'static str {
        U
    }
    fn equals(&self, other: &dyn Opaque) -> Option<bool> {
        other.any().downcast_ref::<Url>().map(|other| self.text() == other.text())
    }
    fn any(&self) -> &dyn Any {
        self
    }
    fn show(&self) -> String {
        self.text()
    }
}

fn to_url<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text)] = args else { return mismatch() };
    let read = url::parse_request(text).and_then(|_| url::parse(text));
    let read = read.map_err(|why| Error::made(format!("URL parse error during conversion from string: {why}")))?;
    Ok(Value::opaque(read))
}

fn is_url<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text)] = args else { return mismatch() };
    Ok(Value::Bool(url::parse_request(text).is_ok()))
}

fn url_of<'s>(args: &'s [Value<'_>]) -> Result<&'s Url, Error> {
    args.first().and_then(Value::as_opaque::<Url>).ok_or(Error::NO_OVERLOAD)
}

fn part_of<'a>(args: &[Value<'a>], part: fn(&Url) -> String) -> Outcome<'a> {
    url_of(args).map(|url| Value::text(part(url)))
}

fn query<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let mut pairs = Pairs::default();
    for (key, values) in url_of(args)?.values() {
        pairs.insert(Value::text(key), Value::list(values.into_iter().map(Value::text).collect()));
    }
    Ok(Value::Map(Map::Own(Arc::new(pairs))))
}
