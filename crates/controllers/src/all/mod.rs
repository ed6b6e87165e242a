//! Every controller.

pub mod deployment;
pub mod endpointslice;
pub mod endpoints;
pub mod replicaset;
pub mod root_ca;
pub mod service_account;

use crate::frame::Controller;

/// The list.
pub static ALL: &[&dyn Controller] = &[
    &deployment::Deployments,
    &replicaset::Replicas,
    &endpointslice::Slices,
    &endpoints::EndpointsObjects,
    &service_account::ServiceAccounts,
    &root_ca::RootCa,
];
