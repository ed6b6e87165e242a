//! Seeded simulation: the pure controllers against a model of the API whose streams lag each on its own,
//! with conflicts, refusals, restarts, failing pods and restless users.
//!
//! A failure names its seed; `SEED=<n> cargo test -p controllers simulation` runs that one alone.

mod actor;
mod checks;
mod model;

use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use actor::Actor;
use checks::Limits;
use model::Model;

const SEEDS: u64 = 64;
const STEPS: usize = 150;

struct Simulation {
    model: Mutex<Model>,
    actors: Vec<Actor>,
    limits: Limits,
    rng: StdRng,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let model = Model::new(seed);
        let actors = actor::all(&model);
        Simulation { model: Mutex::new(model), actors, limits: Limits::default(), rng: StdRng::seed_from_u64(seed) }
    }

    fn model(&mut self) -> &mut Model {
        self.model.get_mut().expect("no step panicked")
    }

    fn step(&mut self) {
        let span = self.rng.random_range(1..40);
        let now = self.model().advance(SignedDuration::from_millis(span));
        match self.rng.random_range(0..100) {
            0..35 => {
                let (kind, count) = (self.rng.random_range(0..3), self.rng.random_range(1..4));
                self.model().deliver(kind, count);
            }
            35..70 => {
                let at = self.rng.random_range(0..self.actors.len());
                self.actors[at].work(&self.model, now);
            }
            70..94 => self.model().pods_move(),
            94..99 => self.user(),
            _ => self.restart(),
        }
        let Simulation { model, limits, .. } = self;
        limits.check(model.get_mut().expect("no step panicked"));
    }

    /// All controllers start anew, from lists, and remember nothing.
    fn restart(&mut self) {
        self.model().relist();
        self.actors = actor::all(self.model());
    }

    fn user(&mut self) {
        let (what, number) = (self.rng.random_range(0..6), self.rng.random_range(0..7));
        let model = self.model();
        match what {
            0 => model.change_deployment(|d: &mut Deployment| d.spec.as_mut().expect("there").replicas = Some(number)),
            1 | 2 => model.change_deployment(|d| {
                let template = &mut d.spec.as_mut().expect("there").template;
                template.spec.as_mut().expect("there").containers[0].image = Some(format!("v{number}"));
            }),
            3 => model.change_deployment(|d| {
                let spec = d.spec.as_mut().expect("there");
                spec.paused = Some(!spec.paused.unwrap_or(false));
            }),
            4 => model.change_deployment(|d| {
                let rolling = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": number % 3, "maxUnavailable": 1}});
                let strategy = if number == 0 { json!({"type": "Recreate"}) } else { rolling };
                d.spec.as_mut().expect("there").strategy = serde_json::from_value(strategy).expect("valid");
            }),
            _ => model.delete_some_pod(),
        }
    }

    /// The chaos ends, and all must come to rest, as it should be.
    fn settle(&mut self) {
        self.model().calm = true;
        self.model().change_deployment(|d| d.spec.as_mut().expect("there").paused = None);
        for _ in 0..4000 {
            let now = self.model().advance(SignedDuration::from_millis(20));
            (0..3).for_each(|kind| self.model().deliver(kind, usize::MAX));
            for at in 0..self.actors.len() {
                self.actors[at].work(&self.model, now);
            }
            self.model().pods_move();
            let Simulation { model, limits, .. } = self;
            limits.check(model.get_mut().expect("no step panicked"));
            if self.at_rest() {
                break;
            }
        }
        assert!(self.at_rest(), "does not come to rest");
        checks::converged(self.model.get_mut().expect("no step panicked"));
        let now = self.model().now;
        self.actors.iter().for_each(|actor| actor.must_have_nothing_to_do(now));
    }

    fn at_rest(&mut self) -> bool {
        let model = self.model.get_mut().expect("no step panicked");
        model.is_quiet() && self.actors.iter_mut().all(|actor| actor.is_idle(model.now))
    }
}

fn run(seed: u64) {
    let mut simulation = Simulation::new(seed);
    (0..STEPS).for_each(|_| simulation.step());
    simulation.settle();
}

#[test]
fn simulation() {
    if let Some(seed) = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) {
        return run(seed);
    }
    for seed in 0..SEEDS {
        if let Err(panic) = std::panic::catch_unwind(|| run(seed)) {
            eprintln!("SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

fn epoch() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().expect("valid")
}

fn deployment(name: &str) -> Deployment {
    let labels = json!({"app": name});
    serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "n"},
        "spec": {
            "replicas": 4,
            "progressDeadlineSeconds": 600,
            "revisionHistoryLimit": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "v0"}]}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}},
        },
    }))
    .expect("a deployment")
}

fn is_ready(pod: &Pod) -> bool {
    crate::pods::is_ready(pod) && crate::pods::is_active(pod)
}
