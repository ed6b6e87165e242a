//! Every controller.

pub mod cluster_role_aggregation;
pub mod deployment;
pub mod endpointslice;
pub mod endpointslice_mirroring;
pub mod endpoints;
pub mod node_lifecycle;
pub mod pod_gc;
pub mod replicaset;
pub mod root_ca;
pub mod service_account;
pub mod service_cidrs;
pub mod taint_eviction;

use crate::frame::Controller;

/// The list.
pub static ALL: &[&dyn Controller] = &[
    &deployment::Deployments,
    &replicaset::Replicas,
    &endpointslice::Slices,
    &endpoints::EndpointsObjects,
    &endpointslice_mirroring::Mirror,
    &service_account::ServiceAccounts,
    &service_cidrs::ServiceCidrs,
    &root_ca::RootCa,
    &node_lifecycle::NodeLifecycle,
    &taint_eviction::TaintEviction,
    &pod_gc::PodGc,
    &cluster_role_aggregation::RoleAggregation,
];
