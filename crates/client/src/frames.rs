//! The frames of a watch as events: one JSON document a line.
//!
//! A frame that cannot be read is reported and left out: one odd object must not hide all others from everybody.
//! `null` where a value must be counts as nothing, as it does for every client of upstream's: the API server writes
//! so a time that was never set.

use std::borrow::Cow;

use futures::stream::BoxStream;
use futures::{AsyncBufReadExt, StreamExt};
use http::Request;
use kube::api::WatchEvent;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What a watch brings, until its connection ends.
pub(crate) type Events<T> = BoxStream<'static, kube::Result<WatchEvent<T>>>;

/// Opens a watch.
pub(crate) async fn events<T: DeserializeOwned + 'static>(client: &kube::Client, request: Request<Vec<u8>>) -> kube::Result<Events<T>> {
    let lines = client.request_stream(request).await?.lines();
    let events = lines.filter_map(async |line| match line {
        Ok(line) => match parse(&line) {
            Ok(event) => Some(Ok(event)),
            // What was cut off with the connection comes again with the next one.
            Err(error) if error.is_eof() => None,
            Err(error) => {
                let frame: String = line.chars().take(200).collect();
                tracing::warn!(%error, frame, "object not understood");
                None
            }
        },
        Err(error) => Some(Err(kube::Error::ReadEvents(error))),
    });
    Ok(events.boxed())
}

fn parse<T: DeserializeOwned>(line: &str) -> serde_json::Result<WatchEvent<T>> {
    let line = &*without_managed_fields(line);
    serde_json::from_str(line).or_else(|error| {
        let mut event: Value = serde_json::from_str(line)?;
        // As text once more: to read every type out of a tree as well would make each of them twice as much program.
        if drop_nulls(&mut event) { serde_json::from_str(&event.to_string()) } else { Err(error) }
    })
}

/// How managed fields begin: never in a string, where the quotes would have backslashes.
const MANAGED: &str = r#""managedFields":["#;

/// The line without the object's managed fields. No informer keeps them, and they are up to half of an object, in
/// small pieces.
fn without_managed_fields(line: &str) -> Cow<'_, str> {
    let Some(start) = line.find(MANAGED) else { return line.into() };
    let Some(length) = list_length(&line.as_bytes()[start + MANAGED.len()..]) else { return line.into() };
    let (before, after) = (&line[..start], &line[start + MANAGED.len() + length..]);
    match before.strip_suffix(',') {
        Some(before) => [before, after].concat().into(),
        None => [before, after.strip_prefix(',').unwrap_or(after)].concat().into(),
    }
}

/// Up to and with the bracket that ends a list; none if it does not end.
fn list_length(text: &[u8]) -> Option<usize> {
    let (mut depth, mut at) = (1, 0);
    while depth > 0 {
        match *text.get(at)? {
            b'[' => depth += 1,
            b']' => depth -= 1,
            b'"' => at = string_end(text, at + 1)?,
            _ => {}
        }
        at += 1;
    }
    Some(at)
}

/// Where the quote is that ends a string.
fn string_end(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// The zero of upstream's times, where a condition must have one.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// Takes members without a value out; says whether there were any.
fn drop_nulls(value: &mut Value) -> bool {
    match value {
        Value::Object(members) => {
            let mut found = false;
            members.retain(|name, member| {
                let null = member.is_null();
                found |= null || drop_nulls(member);
                if null && name == "lastTransitionTime" {
                    *member = NEVER.into();
                }
                !member.is_null()
            });
            found
        }
        Value::Array(items) => items.iter_mut().fold(false, |found, item| drop_nulls(item) | found),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Service;

    #[test]
    fn managed_fields_are_cut_out() {
        let managed = r#""managedFields":[{"manager":"a]\"[","fieldsV1":{"f:x":{"k:{\"n\":[\"\\\\\"]}":{}}}},[1]]"#;
        let (name, text) = (r#""name":"x""#, r#""text":"\"managedFields\":[""#);
        for (with, without) in [
            (format!("{{{name},{managed},{text}}}"), format!("{{{name},{text}}}")),
            (format!("{{{managed},{name}}}"), format!("{{{name}}}")),
            (format!("{{{text},{managed}}}"), format!("{{{text}}}")),
            (format!("{{{managed}}}"), "{}".to_owned()),
            (format!("{{{name},\"managedFields\":[\"cut"), format!("{{{name},\"managedFields\":[\"cut")),
            (format!("{{{text}}}"), format!("{{{text}}}")),
        ] {
            assert_eq!(without_managed_fields(&with), without);
        }
    }

    #[test]
    fn a_time_that_was_never_set_is_nothing() {
        let line = r#"{"type":"MODIFIED","object":{"kind":"Service","apiVersion":"v1","metadata":{"name":"s"},
            "status":{"conditions":[{"type":"T","status":"True","lastTransitionTime":null,"reason":"R","message":""}]}}}"#;
        let event: WatchEvent<Service> = parse(line).expect("is read");
        assert!(matches!(event, WatchEvent::Modified(s) if s.metadata.name.as_deref() == Some("s")));
        assert!(parse::<Service>(r#"{"type":"ADDED","object":{"metadata":{"name":1}}}"#).is_err());
    }
}
