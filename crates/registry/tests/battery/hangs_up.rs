//! A client that hangs up while its write is on its way: the write happens, and all that belongs to it.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use futures::FutureExt;
use registry::api::DeleteOptions;
use registry::{Config, Registry};
use serde_json::json;
use store::disk::simulation::{Engine, SimulatedDisk};

use crate::kit::*;

struct World {
    engine: Arc<Engine>,
    registry: Arc<Registry>,
}

impl World {
    async fn new() -> Self {
        let engine = Arc::new(Engine::open(&SimulatedDisk::new(0), 1 << 20, 0).expect("opens"));
        let registry = Registry::open(engine.clone(), kinds::all(), Vec::new(), Config::default()).await;
        World { engine, registry: registry.expect("opens") }
    }

    /// Asks, and hangs up as soon as the write waits; then it is done.
    async fn hang_up<T>(&self, asked: impl Future<Output = T>) {
        {
            let mut asked = pin!(asked);
            while self.engine.waiting() == 0 {
                assert!(asked.as_mut().now_or_never().is_none(), "it waits for its write");
                tokio::task::yield_now().await;
            }
        }
        assert!(self.engine.turn(1), "a disk that works");
        // What follows from it.
        tokio::task::yield_now().await;
    }

    /// Asks, and waits for the answer.
    async fn ask<T>(&self, asked: impl Future<Output = T>) -> T {
        let mut asked = pin!(asked);
        loop {
            if let Some(answer) = asked.as_mut().now_or_never() {
                return answer;
            }
            assert!(self.engine.turn(1), "a disk that works");
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn an_address_is_held_or_given_back_also_when_nobody_waits_for_the_answer() {
    let w = World::new().await;
    let services = |name: &str| call("services", "default", name);
    let service = |name: &str, address: &str, sort: &str| {
        object(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"clusterIP": address, "type": sort, "ports": [{"port": 80}]}}))
    };
    w.hang_up(w.registry.create(&services(""), service("a", "10.96.0.9", "NodePort"))).await;
    let stored = w.registry.get(&services("a").attributes, "").await.expect("it was stored");
    let port = value(&stored).at("spec.ports").and_then(|ports| ports.get(0)?.get("nodePort").cloned());
    let taken = w.ask(w.registry.create(&services(""), service("b", "10.96.0.9", "ClusterIP"))).await;
    assert!(taken.expect_err("taken").message.ends_with("provided IP is already allocated"));
    let mut same_port = service("b", "", "NodePort");
    same_port.set("spec.ports", json!([{"port": 80, "nodePort": port}]));
    let taken = w.ask(w.registry.create(&services(""), same_port.clone())).await;
    assert!(taken.expect_err("taken").message.ends_with("provided port is already allocated"));

    // A change that gives the port up.
    let mut without = value(&stored);
    without.set("spec.type", "ClusterIP");
    without.set("spec.ports", json!([{"port": 80}]));
    w.hang_up(w.registry.update(&services("a"), without)).await;
    w.ask(w.registry.create(&services(""), same_port)).await.expect("the port is free");

    w.hang_up(w.registry.delete(&services("a"), DeleteOptions::default())).await;
    let again = w.ask(w.registry.create(&services(""), service("c", "10.96.0.9", "ClusterIP"))).await;
    again.expect("the address is free");
}
