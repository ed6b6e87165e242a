//! `kubectl create service …`: one constant for each type.

use clap::{ArgMatches, Command};
use serde_json::{Map, Value, json};

use super::{Kind, Made};
use crate::failure::Failure;
use crate::flags::{number, number_of, several, text, value, values};

pub(super) const CLUSTER_IP: Kind = Kind {
    command: || {
        let address = text("clusterip", "An address, or None for a headless service");
        Command::new("clusterip").about("Create a ClusterIP service").arg(tcp()).arg(address)
    },
    make: |name, matches| make("ClusterIP", name, matches),
};

pub(super) const NODE_PORT: Kind = Kind {
    command: || {
        let port = number("node-port", "The port on every node");
        Command::new("nodeport").about("Create a NodePort service").arg(tcp()).arg(port)
    },
    make: |name, matches| make("NodePort", name, matches),
};

pub(super) const LOAD_BALANCER: Kind = Kind {
    command: || Command::new("loadbalancer").about("Create a LoadBalancer service").arg(tcp()),
    make: |name, matches| make("LoadBalancer", name, matches),
};

pub(super) const EXTERNAL_NAME: Kind = Kind {
    command: || {
        let external = text("external-name", "The name that the service stands for").required(true);
        Command::new("externalname").about("Create an ExternalName service").arg(tcp()).arg(external)
    },
    make: |name, matches| make("ExternalName", name, matches),
};

fn tcp() -> clap::Arg {
    several("tcp", "port or port:target port").value_delimiter(',')
}

fn make(kind: &str, name: &str, matches: &ArgMatches) -> Result<Made, Failure> {
    let address = value(matches, "clusterip").unwrap_or("");
    let pairs = values(matches, "tcp");
    if address != "None" && pairs.is_empty() && kind != "ExternalName" {
        return Err(Failure::message("at least one tcp port specifier must be provided"));
    }
    let node_port = number_of(matches, "node-port").unwrap_or(0);
    let ports = pairs.iter().map(|pair| port(pair, node_port)).collect::<Result<Vec<Value>, Failure>>()?;
    let mut spec = Map::new();
    spec.insert("type".to_owned(), Value::from(kind));
    spec.insert("selector".to_owned(), json!({"app": name}));
    if !ports.is_empty() {
        spec.insert("ports".to_owned(), Value::from(ports));
    }
    let texts = [("clusterIP", address), ("externalName", value(matches, "external-name").unwrap_or(""))];
    for (field, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        spec.insert(field.to_owned(), Value::from(text));
    }
    let object = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": spec, "status": {"loadBalancer": {}},
    });
    Ok(Made { resource: "services", object, refused: format!("failed to create {kind} service: ") })
}

fn port(pair: &str, node_port: i64) -> Result<Value, Failure> {
    let (outer, target) = pair.split_once(':').unwrap_or((pair, pair));
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let Some(outer) = number(outer) else {
        return Err(Failure::message(format!("{outer:?} is not a valid port number: a number from 1 to 65535 is needed")));
    };
    let target = number(target).map_or_else(|| Value::from(target), Value::from);
    let mut port = json!({"name": pair.replace(':', "-"), "port": outer, "protocol": "TCP", "targetPort": target});
    if node_port != 0 {
        port["nodePort"] = Value::from(node_port);
    }
    Ok(port)
}
