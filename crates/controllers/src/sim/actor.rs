//! One controller in the simulation: the frame's parts, driven step by step.

use std::sync::{Arc, Mutex};

use futures::executor::block_on;
use jiff::Timestamp;

use super::model::{Model, SimApi};
use crate::all::{deployment::Deployments, replicaset::Replicas};
use crate::frame::{Controller, Step};
use crate::frame::execute::execute;
use crate::frame::inbox::Inbox;
use crate::frame::queue::Queue;
use crate::frame::world::Streams;

pub struct Actor {
    controller: &'static dyn Controller,
    streams: Streams,
    inbox: Arc<Inbox>,
    queue: Queue,
}

pub fn all(model: &Model) -> Vec<Actor> {
    vec![Actor::new(&Deployments, model), Actor::new(&Replicas, model)]
}

impl Actor {
    fn new(controller: &'static dyn Controller, model: &Model) -> Self {
        let streams = model.streams();
        let inbox = Arc::new(Inbox::default());
        streams.iter().for_each(|stream| stream.feed(inbox.clone()));
        Actor { controller, streams, inbox, queue: Queue::default() }
    }

    fn take_in(&mut self) {
        let taken = self.inbox.take();
        self.queue.recheck(&self.streams);
        if taken.changes.is_empty() {
            return;
        }
        let world = self.streams.world();
        for seen in taken.changes {
            self.controller.route(&seen, &world).iter().for_each(|key| self.queue.add(key));
        }
    }

    /// Works on one key, if one is ready.
    pub fn work(&mut self, model: &Mutex<Model>, now: Timestamp) {
        self.take_in();
        let Some((key, failure)) = self.queue.next(now) else { return };
        let mut world = self.streams.world();
        world.failure = failure;
        let plan = self.controller.reconcile(&key, &world, now);
        plan.steps.iter().chain(&plan.finally).for_each(|step| self.must_be_allowed(step));
        let outcome = block_on(execute(&SimApi(model), plan, &|_| {}));
        self.queue.done(&key, outcome, &self.streams, now);
    }

    /// What a controller does, its list entry must declare.
    fn must_be_allowed(&self, step: &Step) {
        let (group, resource, verb) = step.permission();
        let declared = self.controller.profile().permissions;
        let allowed = declared.iter().any(|p| p.group == group && p.resource == resource && p.verbs.contains(&verb));
        assert!(allowed, "{verb} {resource}.{group} is not declared");
    }

    /// Whether nothing is left to do now.
    pub fn is_idle(&mut self, now: Timestamp) -> bool {
        self.take_in();
        self.queue.is_idle() && self.queue.due().is_none_or(|at| at > now + jiff::SignedDuration::from_secs(60))
    }

    /// What a controller has just produced, it must find right.
    pub fn must_have_nothing_to_do(&self, now: Timestamp) {
        let world = self.streams.world();
        for key in self.controller.keys(&world) {
            let plan = self.controller.reconcile(&key, &world, now);
            assert!(plan.is_empty(), "{key}: {plan:?}");
        }
    }
}
