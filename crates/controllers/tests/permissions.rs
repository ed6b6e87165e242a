//! What controllers declare is what the bootstrap roles let them do: a permission that is declared and not
//! granted would show only when it is needed.

use auth::Authorization;
use auth::bootstrap;
use controllers::all::ALL;
use controllers::frame::Permission;
use controllers::{READER, identity};
use controllers::workers::WORKERS;
use meta::{Attributes, Object, User};

fn authorization() -> Authorization {
    let authorization = Authorization::default();
    let objects = bootstrap::objects();
    for kind in ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"] {
        let those: Vec<Object> = objects.iter().filter(|o| o.kind() == kind).cloned().collect();
        authorization.replace("rbac.authorization.k8s.io", bootstrap::resource(kind), &those);
    }
    authorization
}

/// The user of a name, in the groups that every ServiceAccount is in.
fn user(name: &str) -> User {
    match auth::identity::split_service_account(name) {
        Some((namespace, account)) => auth::identity::service_account(namespace, account),
        None => User::new(name, &["system:authenticated"]),
    }
}

fn refused(authorization: &Authorization, name: &str, group: &str, resource: &str, verbs: &[&str]) -> Vec<String> {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let ask = |verb: &str| Attributes {
        user: user(name),
        verb: verb.to_owned(),
        group: group.to_owned(),
        version: "v1".to_owned(),
        resource: resource.to_owned(),
        subresource: subresource.to_owned(),
        ..Attributes::default()
    };
    let refused = verbs.iter().filter(|verb| !authorization.authorize(&ask(verb)).allowed());
    refused.map(|verb| format!("{name} may not {verb} {group}/{resource}/{subresource}")).collect()
}

#[test]
fn every_declared_permission_is_granted() {
    let (authorization, mut wrong) = (authorization(), Vec::new());
    let mut check = |name: &str, permissions: &[Permission]| {
        for p in permissions {
            wrong.extend(refused(&authorization, name, p.group, p.resource, p.verbs));
        }
    };
    for controller in ALL {
        let profile = controller.profile();
        check(&identity(profile.account), profile.permissions);
    }
    for worker in WORKERS {
        check(&worker.user.map_or_else(|| identity(worker.name), str::to_owned), worker.permissions);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_shared_reader_may_watch_what_controllers_watch() {
    let authorization = authorization();
    let watches = ALL.iter().flat_map(|controller| controller.profile().watches);
    let wrong: Vec<String> =
        watches.flat_map(|w| refused(&authorization, READER, &w.group, &w.resource, &["list", "watch"])).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_namespaces_that_come_back_are_those_that_a_cluster_starts_with() {
    assert_eq!(controllers::workers::system_namespaces::NAMES, bootstrap::NAMESPACES);
}
