//! Labels by which services and slices are no business of the proxy. Needs root.

mod common;

use std::io::ErrorKind;

use common::{Namespace, Node, ask, cluster_ip, in_namespace, serve, slice};
use network::api::PodNetwork;
use serde_json::json;

#[test]
fn labels_leave_services_and_slices_to_others() {
    let dir = tempfile::tempdir().expect("dir");
    in_namespace(async || {
        let node = Node::open(dir.path(), Vec::new()).await;
        let pod = Namespace::new(dir.path().join("a"));
        let at = node.net.attach("a", &pod.0, &[]).await.expect("attach")[0];
        serve(&pod, "a", at);
        let labelled = |label: &str| {
            let mut service = cluster_ip("web", "10.96.0.7", json!({}));
            service.metadata.labels = Some([(label.to_owned(), String::new())].into());
            service
        };
        let plain = slice("web", &[at], 8080);
        let mut headless = plain.clone();
        headless.metadata.labels.get_or_insert_default().insert("service.kubernetes.io/headless".to_owned(), String::new());
        node.slices.apply(plain.clone());
        for (service, slice, answer) in [
            (cluster_ip("web", "10.96.0.7", json!({})), &plain, Ok("a")),
            (labelled("service.kubernetes.io/service-proxy-name"), &plain, Err(ErrorKind::ConnectionRefused)),
            (labelled("other"), &plain, Ok("a")),
            (labelled("service.kubernetes.io/headless"), &plain, Err(ErrorKind::ConnectionRefused)),
            (labelled("other"), &headless, Err(ErrorKind::ConnectionRefused)),
            (labelled("other"), &plain, Ok("a")),
        ] {
            let labels = (service.metadata.labels.clone(), slice.metadata.labels.clone());
            node.services.apply(service);
            node.slices.apply(slice.clone());
            assert!(node.sync().await);
            assert_eq!(ask("10.96.0.7:80").as_deref().map_err(|kind| *kind), answer, "{labels:?}");
        }
    });
}
