//! The stations that one request passes are those that the crate's documentation names, in that order.

mod kit;

use std::sync::{Arc, Mutex};

use http::{Method, StatusCode};
use kit::Kit;
use tracing::span::{Attributes, Id};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

/// Collects the names of spans as they are made.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<Vec<&'static str>>>);

impl<S: tracing::Subscriber> Layer<S> for Names {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.0.lock().expect("no panic").push(attributes.metadata().name());
    }
}

#[tokio::test]
async fn a_create_passes_every_station() {
    let directory = tempfile::tempdir().expect("directory");
    let kit = Kit::new(directory.path()).await;
    let names = Names::default();
    let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(names.clone()));
    let body = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}"#;
    let answer = kit.ask(Method::POST, "/api/v1/namespaces/default/configmaps", &[], body).await;
    drop(guard);
    assert_eq!(answer.code, StatusCode::CREATED);
    let seen = names.0.lock().expect("no panic").clone();
    let ours = ["serve", "route", "authenticate", "flow control", "authorize", "verb", "decode+default"];
    let passed: Vec<&str> = seen.into_iter().filter(|name| ours.contains(name)).collect();
    assert_eq!(passed, ours);
}
