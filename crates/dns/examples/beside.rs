//! The server with a cluster from a file, without an API server, to be measured beside others:
//! `beside ADDRESS PORT WORLD [COREFILE]`. The file is that of the tests, `tests/coredns/world.json`.

use client::{Informer, Recorder};
use serde_json::{Value, json};

fn informer<K: client::Kind>(objects: &Value) -> Result<Informer<K>, Box<dyn std::error::Error>> {
    let informer = Informer::detached();
    for object in objects.as_array().into_iter().flatten() {
        informer.apply(serde_json::from_value(object.clone())?);
    }
    Ok(informer)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, port, world, corefile @ ..] = &arguments[..] else { return Err("ADDRESS PORT WORLD [COREFILE]".into()) };
    let tree: Value = serde_json::from_slice(&std::fs::read(world)?)?;
    let mut maps = Vec::new();
    for path in corefile {
        let metadata = json!({"namespace": "kube-system", "name": "coredns"});
        maps.push(json!({"metadata": metadata, "data": {"Corefile": std::fs::read_to_string(path)?}}));
    }
    let pods = informer(&tree["pods"])?;
    let sources = dns::Sources {
        services: informer(&tree["services"])?,
        slices: informer(&tree["endpointslices"])?,
        namespaces: informer(&tree["namespaces"])?,
        maps: informer(&Value::Array(maps))?,
        custom: Informer::detached(),
        pods: Box::new(move || pods.clone()),
    };
    let config = dns::Config {
        domain: "cluster.local".to_owned(),
        address: address.parse()?,
        port: port.parse()?,
        resolv_conf: "/etc/resolv.conf".into(),
    };
    Ok(dns::run(sources, config, Recorder::silent(), tokio_util::sync::CancellationToken::new()).await?)
}
