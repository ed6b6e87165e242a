//! The number behind a pod's priority class, and at most one default class
//! (upstream: `plugin/pkg/admission/priority`).

use std::sync::Arc;

use async_trait::async_trait;
use meta::{Key, Object, Status};

use super::{Context, is_pod};
use crate::refusal::forbidden;
use crate::{Lookup, Operation, Plugin, Request};

const GROUP: &str = "scheduling.k8s.io";
const RESOURCE: &str = "priorityclasses";

struct Priority;

/// Makes the plug-in.
pub(super) fn make(_context: &Context) -> Arc<dyn Plugin> {
    Arc::new(Priority)
}

/// What a pod gets.
struct Rank {
    class: String,
    value: i64,
    /// `PreemptLowerPriority` or `Never`; empty if the class does not say.
    preemption: String,
}

impl Rank {
    fn of(class: &Object) -> Rank {
        Rank {
            class: class.name().to_owned(),
            value: class.i64_at("value").unwrap_or(0),
            preemption: class.str_at("preemptionPolicy").to_owned(),
        }
    }
}

#[async_trait]
impl Plugin for Priority {
    fn name(&self) -> &'static str {
        "Priority"
    }

    async fn mutate(&self, request: &mut Request<'_>, lookup: &dyn Lookup) -> Result<(), Status> {
        if !is_pod(request, "") {
            return Ok(());
        }
        match request.operation {
            Operation::Create => {
                let rank = rank(request, lookup).await?;
                apply(request, rank)
            }
            Operation::Update => {
                keep(request);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn validate(&self, request: &Request<'_>, lookup: &dyn Lookup) -> Result<(), Status> {
        let a = request.attributes;
        let a_class = a.group == GROUP && a.resource == RESOURCE && a.subresource.is_empty();
        let Some(class) = request.object.as_deref().filter(|_| a_class) else { return Ok(()) };
        if class.bool_at("globalDefault") != Some(true) {
            return Ok(());
        }
        let Some(default) = default_class(lookup).await? else { return Ok(()) };
        if request.operation == Operation::Create || default.name() != class.name() {
            let why =
                format!("PriorityClass {} is already marked as default. Only one default can exist", default.name());
            return Err(forbidden(request, why));
        }
        Ok(())
    }
}

async fn rank(request: &Request<'_>, lookup: &dyn Lookup) -> Result<Rank, Status> {
    let name = request.object.as_deref().map_or("", |pod| pod.str_at("spec.priorityClassName"));
    if name.is_empty() {
        let none = || Rank { class: String::new(), value: 0, preemption: "PreemptLowerPriority".to_owned() };
        return Ok(default_class(lookup).await?.map_or_else(none, |class| Rank::of(&class)));
    }
    let class = lookup.get(GROUP, RESOURCE, &Key::new("", name)).await?;
    let missing = || forbidden(request, format!("no PriorityClass with name {name} was found"));
    class.map(|class| Rank::of(&class)).ok_or_else(missing)
}

/// The class that counts when a pod names none: of several, the lowest.
async fn default_class(lookup: &dyn Lookup) -> Result<Option<Arc<Object>>, Status> {
    let classes = lookup.list(GROUP, RESOURCE, None).await?;
    let defaults = classes.into_iter().filter(|class| class.bool_at("globalDefault") == Some(true));
    Ok(defaults.min_by_key(|class| class.i64_at("value").unwrap_or(0)))
}

fn apply(request: &mut Request<'_>, rank: Rank) -> Result<(), Status> {
    let Some(pod) = request.object.as_deref() else { return Ok(()) };
    if let Some(given) = pod.i64_at("spec.priority")
        && given != rank.value
    {
        let why = format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller \
             computed {} from the given PriorityClass name",
            rank.value
        );
        return Err(forbidden(request, why));
    }
    let policy = pod.str_at("spec.preemptionPolicy");
    if !rank.preemption.is_empty() && !policy.is_empty() && policy != rank.preemption {
        let why = format!(
            "the string value of PreemptionPolicy ({policy}) must not be provided in pod spec; priority admission \
             controller computed {} from the given PriorityClass name",
            rank.preemption
        );
        return Err(forbidden(request, why));
    }
    let Some(pod) = request.object.as_deref_mut() else { return Ok(()) };
    if !rank.class.is_empty() {
        pod.set("spec.priorityClassName", rank.class);
    }
    pod.set("spec.priority", rank.value);
    if !rank.preemption.is_empty() {
        pod.set("spec.preemptionPolicy", rank.preemption);
    }
    Ok(())
}

/// An update that leaves out what this plug-in once filled in does not take it away.
fn keep(request: &mut Request<'_>) {
    let (Some(pod), Some(old)) = (request.object.as_deref_mut(), request.old) else { return };
    for field in ["spec.priority", "spec.preemptionPolicy"] {
        if let Some(value) = old.at(field) {
            pod.set_default(field, value.clone());
        }
    }
}
