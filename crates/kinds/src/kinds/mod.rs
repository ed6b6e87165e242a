//! One file per kind.

pub mod binding;
pub mod certificatesigningrequest;
pub mod clusterrole;
pub mod clusterrolebinding;
pub mod configmap;
pub mod customresourcedefinition;
pub mod deployment;
pub mod endpoints;
pub mod endpointslice;
pub mod event;
pub mod flowcontrol;
pub mod ipaddress;
pub mod lease;
pub mod localsubjectaccessreview;
pub mod namespace;
pub mod node;
pub mod pod;
pub mod priorityclass;
pub mod replicaset;
pub mod role;
pub mod rolebinding;
pub mod runtimeclass;
pub mod secret;
pub mod selfsubjectaccessreview;
pub mod selfsubjectreview;
pub mod selfsubjectrulesreview;
pub mod service;
pub mod serviceaccount;
pub mod servicecidr;
pub mod subjectaccessreview;
pub mod tokenreview;
mod workload;

use crate::Descriptor;

/// Every built-in kind. Core events stand before those of events.k8s.io, whose storage they share.
pub const ALL: &[fn() -> Descriptor] = &[
    binding::descriptor,
    configmap::descriptor,
    endpoints::descriptor,
    event::descriptor,
    namespace::descriptor,
    node::descriptor,
    pod::descriptor,
    secret::descriptor,
    service::descriptor,
    serviceaccount::descriptor,
    deployment::descriptor,
    replicaset::descriptor,
    selfsubjectreview::descriptor,
    tokenreview::descriptor,
    localsubjectaccessreview::descriptor,
    selfsubjectaccessreview::descriptor,
    selfsubjectrulesreview::descriptor,
    subjectaccessreview::descriptor,
    certificatesigningrequest::descriptor,
    lease::descriptor,
    endpointslice::descriptor,
    event::events_v1,
    flowcontrol::flowschema::descriptor,
    flowcontrol::prioritylevelconfiguration::descriptor,
    ipaddress::descriptor,
    servicecidr::descriptor,
    runtimeclass::descriptor,
    clusterrole::descriptor,
    clusterrolebinding::descriptor,
    role::descriptor,
    rolebinding::descriptor,
    priorityclass::descriptor,
    customresourcedefinition::descriptor,
];
