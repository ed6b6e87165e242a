//! The frames of a watch as events: one JSON document a line.
//!
//! A frame that cannot be read is reported and left out: one odd object must not hide all others from everybody.
//! `null` where a value must be counts as nothing, as it does for every client of upstream's: the API server writes
//! so a time that was never set.

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
    serde_json::from_str(line).or_else(|error| {
        let mut event: Value = serde_json::from_str(line)?;
        if drop_nulls(&mut event) { serde_json::from_value(event) } else { Err(error) }
    })
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
    fn a_time_that_was_never_set_is_nothing() {
        let line = r#"{"type":"MODIFIED","object":{"kind":"Service","apiVersion":"v1","metadata":{"name":"s"},
            "status":{"conditions":[{"type":"T","status":"True","lastTransitionTime":null,"reason":"R","message":""}]}}}"#;
        let event: WatchEvent<Service> = parse(line).expect("is read");
        assert!(matches!(event, WatchEvent::Modified(s) if s.metadata.name.as_deref() == Some("s")));
        assert!(parse::<Service>(r#"{"type":"ADDED","object":{"metadata":{"name":1}}}"#).is_err());
    }
}
