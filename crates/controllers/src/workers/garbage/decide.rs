//! Whether an object lives: a pure decision from what its owners are.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::graph::{FOREGROUND, ORPHAN};

/// What the API says of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// It is there.
    Solid,
    /// It is not, or another object has its name.
    Dangling,
    /// It is there until its dependents are gone.
    Waiting,
}

/// What to do with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Keep,
    /// Remove the references to all owners but the solid ones.
    DropReferences,
    /// Delete it, with this propagation policy.
    Delete(&'static str),
}

/// Decides, from the object's live metadata, what its owners are (in the order of its references), and
/// whether it has dependents of its own.
pub fn decide(meta: &ObjectMeta, owners: &[Owner], has_dependents: bool) -> Action {
    if owners.is_empty() {
        return Action::Keep;
    }
    if owners.contains(&Owner::Solid) {
        let all = owners.iter().all(|owner| *owner == Owner::Solid);
        return if all { Action::Keep } else { Action::DropReferences };
    }
    if owners.contains(&Owner::Waiting) && has_dependents {
        return Action::Delete("Foreground");
    }
    let has = |finalizer: &str| meta.finalizers.iter().flatten().any(|f| f == finalizer);
    if has(ORPHAN) {
        Action::Delete("Orphan")
    } else if has(FOREGROUND) {
        Action::Delete("Foreground")
    } else {
        Action::Delete("Background")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_solid_owner_is_enough() {
        use Owner::*;
        let meta = ObjectMeta::default();
        for (owners, dependents, expected) in [
            (vec![], true, Action::Keep),
            (vec![Solid], false, Action::Keep),
            (vec![Solid, Dangling], false, Action::DropReferences),
            (vec![Waiting, Solid], true, Action::DropReferences),
            (vec![Dangling], true, Action::Delete("Background")),
            (vec![Waiting], true, Action::Delete("Foreground")),
            (vec![Waiting, Dangling], false, Action::Delete("Background")),
        ] {
            assert_eq!(decide(&meta, &owners, dependents), expected, "{owners:?}");
        }
    }
}
