//! The plug-ins, one file each, in the order in which they run (upstream: `kubeapiserver/options/plugins.go`).

use std::sync::Arc;

use crate::Plugin;

/// What plug-ins need besides the request and other objects.
#[derive(Clone)]
pub struct Context {
    /// Who may do what.
    pub authorization: Arc<auth::Authorization>,
}

/// Makes one plug-in.
pub type Make = fn(&Context) -> Arc<dyn Plugin>;

/// All plug-ins.
pub const ALL: &[Make] = &[];

/// All plug-ins, made.
pub fn all(context: &Context) -> Vec<Arc<dyn Plugin>> {
    ALL.iter().map(|make| make(context)).collect()
}
