//! The node agent's port: whom it lets in.

use std::sync::Mutex;

use serde_json::json;

use super::*;

/// An API server that knows one token and lets `ann` read statistics; it counts what it is asked.
#[derive(Default)]
struct Server(Mutex<Vec<String>>);

#[async_trait]
impl Reviews for Server {
    async fn create(&self, _group: &str, resource: &str, mut review: Object) -> Result<Object, Status> {
        self.0.lock().expect("lock").push(resource.to_owned());
        let status = match resource {
            "tokenreviews" if review.str_at("spec.token") == "good" => {
                json!({"authenticated": true, "user": {"username": "ann", "groups": ["system:authenticated"]}})
            }
            "tokenreviews" => json!({"authenticated": false, "error": "no such token"}),
            _ => json!({"allowed": review.str_at("spec.resourceAttributes.subresource") == "stats"}),
        };
        review.set("status", status);
        Ok(review)
    }
}

fn delegated() -> (Arc<Server>, Delegated) {
    let ca = rcgen::generate_simple_self_signed(vec!["ca".to_owned()]).expect("a certificate");
    let certificates = Certificates::new(&[ca.cert.der().clone()]).expect("a verifier");
    let server = Arc::new(Server::default());
    (server.clone(), Delegated::new(certificates, server))
}

#[tokio::test]
async fn tokens_and_permissions_are_asked_for_once() {
    let (server, delegated) = delegated();
    let now = Timestamp::now();
    let good = Credentials { authorization: Some("Bearer good"), ..Credentials::default() };
    for _ in 0..3 {
        let user = delegated.authenticate(&good, now, now).await.expect("known");
        assert_eq!(user.name, "ann");
        let allowed = |path: &str| kubelet_attributes(&user, "GET", path, "n1");
        assert!(delegated.authorize_any(&allowed("/stats/summary"), now).await.expect("answered").allowed());
        assert!(!delegated.authorize_any(&allowed("/exec/ns/p/c"), now).await.expect("answered").allowed());
    }
    assert_eq!(server.0.lock().expect("lock").len(), 3);
    let later = now + SignedDuration::from_mins(6);
    // The machine's clock is set: nothing is asked again, and nothing holds for longer.
    delegated.authenticate(&good, later, now).await.expect("known");
    assert_eq!(server.0.lock().expect("lock").len(), 3);
    delegated.authenticate(&good, now - SignedDuration::from_mins(60), later).await.expect("known");
    assert_eq!(server.0.lock().expect("lock").len(), 4);
}

#[tokio::test]
async fn nobody_is_anonymous() {
    let (_, delegated) = delegated();
    let now = Timestamp::now();
    assert!(delegated.authenticate(&Credentials::default(), now, now).await.is_err());
    let bad = Credentials { authorization: Some("Bearer bad"), ..Credentials::default() };
    assert_eq!(delegated.authenticate(&bad, now, now).await, Err(Unauthorized("no such token".to_owned())));
}

#[test]
fn paths_are_guarded_by_subresources() {
    let table = [
        ("/stats/summary", &["stats"][..]),
        ("/metrics/cadvisor", &["metrics"]),
        ("/logs/", &["log"]),
        ("/pods", &["pods", "proxy"]),
        ("/runningpods/", &["pods", "proxy"]),
        ("/healthz/ping", &["healthz", "proxy"]),
        ("/containerLogs/ns/p/c", &["proxy"]),
        ("/podsx", &["proxy"]),
    ];
    for (path, want) in table {
        let attributes = kubelet_attributes(&User::default(), "POST", path, "n1");
        let found: Vec<&str> = attributes.iter().map(|a| a.subresource.as_str()).collect();
        assert_eq!(found, want, "{path}");
        assert!(attributes.iter().all(|a| a.verb == "create" && a.name == "n1"));
    }
}
