//! What is done with bytes from outside, for the fuzz target (`fuzz/`) and for the test of its corpus. Nothing may panic,
//! and what is answered can be read.

use std::sync::OnceLock;

use client::Informer;
use hickory_proto::op::Message;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::answer::{Reply, reply};
use crate::world::World;

const DOMAIN: &str = "cluster.local";

/// A service with an address, one without, and one that is elsewhere.
fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let (services, slices) = (Informer::<Service>::detached(), Informer::<EndpointSlice>::detached());
        let world = World::follow(&services, &slices);
        for (name, address, external) in [("web", "10.96.0.7", None), ("db", "None", None), ("out", "", Some("example.org"))] {
            let port = ServicePort { name: Some("http".into()), port: 80, ..ServicePort::default() };
            let metadata = ObjectMeta { name: Some(name.into()), namespace: Some("d".into()), ..ObjectMeta::default() };
            let spec = ServiceSpec {
                cluster_ip: Some(address.into()),
                external_name: external.map(str::to_owned),
                type_: external.map(|_| "ExternalName".to_owned()),
                ports: Some(vec![port]),
                ..ServiceSpec::default()
            };
            services.apply(Service { metadata, spec: Some(spec), status: None });
        }
        world
    })
}

/// A message to the server, over UDP and over TCP.
pub fn dns(data: &[u8]) {
    for tcp in [false, true] {
        let (Reply::Answer(bytes) | Reply::Elsewhere(bytes)) = reply(world(), DOMAIN, data, tcp) else { continue };
        let answer = Message::from_vec(&bytes).expect("what is answered is a message");
        assert_eq!(bytes[..2], data[..2], "to the question");
        assert!(answer.queries.len() <= 1 || answer.queries.len() * 5 <= data.len());
    }
}
