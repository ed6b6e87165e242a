//! The names under which the parts of the cluster act (upstream: `apiserver/pkg/authentication/user`,
//! `serviceaccount`).

use meta::User;

/// Group of everybody who is authenticated.
pub const AUTHENTICATED: &str = "system:authenticated";
/// Group of everybody who is not.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
/// Name of everybody who is not authenticated.
pub const ANONYMOUS: &str = "system:anonymous";
/// Group that may do everything, whatever the policy says.
pub const MASTERS: &str = "system:masters";
/// Group of the kubelets.
pub const NODES: &str = "system:nodes";
/// Prefix of a kubelet's user name.
pub const NODE_PREFIX: &str = "system:node:";
/// Group of all service accounts.
pub const SERVICE_ACCOUNTS: &str = "system:serviceaccounts";
/// Prefix of a service account's user name; also of the group of a namespace's service accounts.
pub const SERVICE_ACCOUNT_PREFIX: &str = "system:serviceaccount:";
/// Group that kubeadm binds to `cluster-admin`.
pub const CLUSTER_ADMINS: &str = "kubeadm:cluster-admins";
/// User of the scheduler.
pub const SCHEDULER: &str = "system:kube-scheduler";
/// User of the controllers as a whole.
pub const CONTROLLERS: &str = "system:kube-controller-manager";
/// User of the service proxy.
pub const PROXY: &str = "system:kube-proxy";
/// User of the API server towards itself.
pub const API_SERVER: &str = "system:apiserver";

/// `system:serviceaccount:<namespace>:<name>`.
pub fn service_account_name(namespace: &str, name: &str) -> String {
    format!("{SERVICE_ACCOUNT_PREFIX}{namespace}:{name}")
}

/// Namespace and name from a service account's user name.
pub fn split_service_account(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix(SERVICE_ACCOUNT_PREFIX)?.split_once(':')?;
    (!namespace.is_empty() && !name.is_empty() && !name.contains(':')).then_some((namespace, name))
}

/// A service account as a user, with its groups.
pub fn service_account(namespace: &str, name: &str) -> User {
    let of_namespace = format!("{SERVICE_ACCOUNTS}:{namespace}");
    User::new(&service_account_name(namespace, name), &[SERVICE_ACCOUNTS, &of_namespace, AUTHENTICATED])
}

/// A controller's own identity: a service account in `kube-system`, as upstream's
/// `--use-service-account-credentials`.
pub fn controller(name: &str) -> User {
    service_account("kube-system", name)
}

/// The scheduler.
pub fn scheduler() -> User {
    User::new(SCHEDULER, &[AUTHENTICATED])
}

/// The service proxy.
pub fn proxy() -> User {
    User::new(PROXY, &[AUTHENTICATED])
}

/// The kubelet of a node.
pub fn node(name: &str) -> User {
    User::new(&format!("{NODE_PREFIX}{name}"), &[NODES, AUTHENTICATED])
}

/// The API server acting on its own behalf: applying bootstrap objects. May do everything.
pub fn api_server() -> User {
    User::new(API_SERVER, &[MASTERS, AUTHENTICATED])
}

/// A caller without credentials.
pub fn anonymous() -> User {
    User::new(ANONYMOUS, &[UNAUTHENTICATED])
}

/// The node name of a kubelet's identity; `None` for anybody else. A kubelet is in the group
/// `system:nodes` and is called `system:node:<name>` (upstream: `nodeidentifier`).
pub fn node_name(user: &User) -> Option<&str> {
    let name = user.name.strip_prefix(NODE_PREFIX)?;
    user.in_group(NODES).then_some(name)
}
