//! What is done with bytes from outside, for the fuzz targets (`fuzz/`) and for the test of their corpus. Nothing may
//! panic, and what is answered can be read.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use client::Informer;
use futures::FutureExt;
use hickory_proto::op::Message;
use k8s_openapi::api::core::v1::{Namespace, Service, ServicePort, ServiceSpec};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::corefile::Files;
use crate::limits::Permits;
use crate::plan::compile;
use crate::respond::{Reply, Slot, reply};
use crate::steps::Environment;
use crate::world::World;

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const PORT: u16 = 5353;
/// All that answers by itself.
const COREFILE: &str = r#". {
    bufsize
    errors
    loadbalance
    rewrite name regex (.*)\.old\.example\. {1}.d.svc.cluster.local answer auto
    rewrite continue ttl suffix example 10-20
    cache 30
    template IN ANY made.example {
        match ^(?P<a>[^.]*)\.made\.example\.$
        answer "{{ .Name }} 60 IN TXT \"{{ .Group.a }}\""
        fallthrough
    }
    hosts {
        10.0.0.1 host.example *.host.example
        fallthrough
    }
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
    }
}
"#;

/// A service with an address, one without, and one that is elsewhere.
fn environment() -> Environment {
    let (services, slices) = (Informer::<Service>::detached(), Informer::<EndpointSlice>::detached());
    let namespaces = Informer::<Namespace>::detached();
    let world = World::follow(&services, &slices, &namespaces);
    let metadata = ObjectMeta { name: Some("d".into()), ..ObjectMeta::default() };
    namespaces.apply(Namespace { metadata, ..Namespace::default() });
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
    Environment {
        world,
        synced: Arc::new(|| true),
        pods: Arc::new(|_| {}),
        address: ADDRESS,
        port: PORT,
        resolv_conf: "/nonexistent".into(),
        upstream_port: 53,
        metrics: Arc::default(),
    }
}

fn slot() -> &'static Slot {
    static SLOT: OnceLock<Slot> = OnceLock::new();
    SLOT.get_or_init(|| {
        let mut compiled = compile(COREFILE, &Files::new(), &environment()).unwrap_or_else(|fault| unreachable!("{fault}"));
        Slot::new(compiled.sockets.remove(&std::net::SocketAddr::new(ADDRESS, PORT)).unwrap_or_default())
    })
}

/// A message to the server, over UDP and over TCP.
pub fn dns(data: &[u8]) {
    let permits = Permits::new(1, 1);
    for tcp in [false, true] {
        let said = reply(slot(), &permits, data, tcp, ADDRESS).now_or_never();
        let Some(Reply::Answer(bytes)) = said else { continue };
        let answer = Message::from_vec(&bytes).expect("what is answered is a message");
        assert_eq!(bytes[..2], data[..2], "to the question");
        assert!(answer.queries.len() <= 1);
    }
}

/// A Corefile.
pub fn corefile(data: &[u8]) {
    let _ = compile(&String::from_utf8_lossy(data), &Files::new(), &environment());
}
