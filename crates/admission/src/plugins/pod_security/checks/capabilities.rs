//! Capabilities: none beyond what a container has by default; or all dropped, and at most the one for low ports added.

use kinds::view::View;

use super::{Pod, Values, Violation, against, listed, named};

/// What runtimes give, and `NET_RAW` not.
const DEFAULT: &[&str] = &[
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

pub(super) fn baseline(pod: &Pod<'_>) -> Option<Violation> {
    against("non-default capabilities", adding(pod, DEFAULT)?)
}

pub(super) fn restricted(pod: &Pod<'_>) -> Option<Violation> {
    let keeping = pod.where_container(|container| !of(container).at("drop").strings().any(|one| one == "ALL"));
    let keeping = (!keeping.is_empty())
        .then(|| format!(r#"{} must set securityContext.capabilities.drop=["ALL"]"#, named("container", &keeping)));
    let details: Vec<String> = keeping.into_iter().chain(adding(pod, &["NET_BIND_SERVICE"])).collect();
    against("unrestricted capabilities", details.join("; "))
}

fn of<'a>(container: &View<'a>) -> View<'a> {
    container.at("securityContext").at("capabilities")
}

/// Who adds others than these.
fn adding(pod: &Pod<'_>, allowed: &[&str]) -> Option<String> {
    let mut others = Values::new();
    let bad = pod.where_container(|container| {
        let more: Vec<&str> = of(container).at("add").strings().filter(|one| !allowed.contains(one)).collect();
        others.extend(&more);
        !more.is_empty()
    });
    let who = named("container", &bad);
    (!bad.is_empty()).then(|| format!("{who} must not include {} in securityContext.capabilities.add", listed(&others)))
}
