//! Clients that ask for whatever chance says, all at once, on a few names; each notes what it asked and what it was told.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use meta::{Object, Status};
use rand::Rng;
use rand::rngs::StdRng;
use registry::Registry;
use registry::api::{DeleteOptions, Patch};
use serde_json::json;

use super::books::{Asked, Books};
use crate::kit::{call, object, value};

/// Shared with the one who looks.
pub type Shared = Rc<RefCell<Books>>;

const FINALIZER: &str = "example.com/holds";
/// Resources, how many names each has, and what an object of it looks like.
pub const RESOURCES: [(&str, usize, &str); 3] =
    [("configmaps", 5, "ConfigMap"), ("services", 4, "Service"), ("leases.coordination.k8s.io", 2, "Lease")];

/// One client.
pub struct Client {
    pub registry: Arc<Registry>,
    pub books: Shared,
    pub random: StdRng,
}

impl Client {
    /// Asks so many times.
    pub async fn run(mut self, times: usize) {
        for _ in 0..times {
            let (resource, names, kind) = RESOURCES[self.random.random_range(0..RESOURCES.len())];
            let name = format!("n{}", self.random.random_range(0..names));
            match self.random.random_range(0..10) {
                0..3 => self.create(resource, &name, kind).await,
                3..6 => self.change(resource, &name).await,
                6 => self.patch(resource, &name).await,
                7 if kind == "Service" => self.set_status(resource, &name).await,
                _ => self.delete(resource, &name).await,
            }
        }
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.random.random_bool(probability)
    }

    fn ask(&self, key: String, mark: &str, removes: bool) -> u64 {
        self.books.borrow_mut().ask(Asked { key, mark: mark.to_owned(), removes })
    }

    fn answered(&self, number: u64, answer: Result<Object, Status>) {
        let mut books = self.books.borrow_mut();
        match answer {
            Ok(object) => {
                let gone = object.deletion_timestamp().is_some() && object.finalizers().next().is_none();
                books.answered(number, &object, gone);
            }
            Err(_) => books.refused(number),
        }
    }

    async fn create(&mut self, resource: &str, name: &str, kind: &str) {
        let mark = self.books.borrow_mut().mark();
        let mut new = fresh(kind, &mark);
        let short = short(resource);
        let mut key = format!("{short}/{name}");
        if self.chance(0.2) {
            new.set("metadata.generateName", "made-");
            key = format!("{short}/");
        } else {
            new.set("metadata.name", name);
        }
        if kind == "Service" {
            let sort = ["ClusterIP", "NodePort", "ExternalName"][self.random.random_range(0..3)];
            new.set("spec.type", sort);
            if sort == "ExternalName" {
                new.set("spec.externalName", "example.com");
            }
        } else if self.chance(0.3) {
            new.set("metadata.finalizers", json!([FINALIZER]));
        }
        let number = self.ask(key, &mark, false);
        let written = self.registry.create(&call(resource, "default", ""), new).await;
        self.answered(number, written.map(|written| value(&written.object)));
    }

    /// Reads, and writes what was read with something changed.
    async fn read(&self, resource: &str, name: &str) -> Option<Object> {
        let read = self.registry.get(&call(resource, "default", name).attributes, "").await.ok()?;
        let found = value(&read);
        self.books.borrow_mut().see(&format!("{}/{name}", short(resource)), &found);
        Some(found)
    }

    async fn change(&mut self, resource: &str, name: &str) {
        let Some(mut new) = self.read(resource, name).await else { return };
        let mark = self.books.borrow_mut().mark();
        new.set("metadata.labels.mark", mark.clone());
        new.set("metadata.annotations.mark", mark.clone());
        if self.chance(0.5) {
            new.remove("metadata.finalizers");
        }
        if new.kind() == "Service" && self.chance(0.3) {
            let sort = if new.str_at("spec.type") == "NodePort" { "ClusterIP" } else { "NodePort" };
            new.set("spec.type", sort);
            new.remove("spec.externalName");
        }
        let removes = new.deletion_timestamp().is_some();
        let number = self.ask(format!("{}/{name}", short(resource)), &mark, removes);
        let written = self.registry.update(&call(resource, "default", name), new).await;
        self.answered(number, written.map(|written| value(&written.object)));
    }

    async fn patch(&mut self, resource: &str, name: &str) {
        let mark = self.books.borrow_mut().mark();
        let patch = json!({"metadata": {"labels": {"mark": mark}, "annotations": {"mark": mark}}});
        let number = self.ask(format!("{}/{name}", short(resource)), &mark, false);
        let written = self.registry.patch(&call(resource, "default", name), Patch::Merge(patch)).await;
        self.answered(number, written.map(|written| value(&written.object)));
    }

    async fn set_status(&mut self, resource: &str, name: &str) {
        let Some(mut new) = self.read(resource, name).await else { return };
        let mark = self.books.borrow_mut().mark();
        let condition = json!([{"type": "Seen", "status": "True", "reason": "Test", "message": mark,
            "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
        new.set("status.conditions", condition);
        let number = self.ask(format!("{}/{name}", short(resource)), &mark, false);
        let written = self.registry.update(&call(&format!("{resource}/status"), "default", name), new).await;
        self.answered(number, written.map(|written| value(&written.object)));
    }

    async fn delete(&mut self, resource: &str, name: &str) {
        let mark = self.books.borrow_mut().mark();
        let number = self.ask(format!("{}/{name}", short(resource)), &mark, true);
        let deleted = self.registry.delete(&call(resource, "default", name), DeleteOptions::default()).await;
        let mut books = self.books.borrow_mut();
        match deleted {
            Ok(deleted) => books.answered(number, &value(&deleted.object), deleted.gone),
            Err(_) => books.refused(number),
        }
    }
}

/// The part of a resource's name that keys have.
pub fn short(resource: &str) -> &str {
    resource.split('.').next().unwrap_or_default()
}

/// An object of a kind, with a mark.
pub fn fresh(kind: &str, mark: &str) -> Object {
    let version = if kind == "Lease" { "coordination.k8s.io/v1" } else { "v1" };
    let marks = json!({"mark": mark});
    let mut new =
        object(json!({"apiVersion": version, "kind": kind, "metadata": {"labels": marks, "annotations": marks}}));
    if kind == "Service" {
        new.set("spec", json!({"ports": [{"port": 80}]}));
    }
    new
}
