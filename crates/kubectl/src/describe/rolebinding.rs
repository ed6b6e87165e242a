//! The pages of RoleBinding and ClusterRoleBinding.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::page::Page;
use super::tree::{list, text};
use super::{Events, Member, marks};
use crate::failure::Failure;
use crate::session::Session;

pub(super) const ROLE_BINDING: Member =
    Member { group: "rbac.authorization.k8s.io", kind: "RoleBinding", events: Events::Never, write };

pub(super) const CLUSTER_ROLE_BINDING: Member =
    Member { group: "rbac.authorization.k8s.io", kind: "ClusterRoleBinding", events: Events::Never, write };

fn write<'a>(_: &'a Session, object: &'a Value, page: &'a mut Page) -> BoxFuture<'a, Result<(), Failure>> {
    async move {
        page.field(0, "Name", text(&object["metadata"]["name"]));
        marks(page, object);
        page.line(0, "Role:");
        page.field(1, "Kind", text(&object["roleRef"]["kind"]));
        page.field(1, "Name", text(&object["roleRef"]["name"]));
        page.line(0, "Subjects:");
        page.headers(1, &["Kind", "Name", "Namespace"]);
        for subject in list(&object["subjects"]) {
            page.row(1, &["kind", "name", "namespace"].map(|field| text(&subject[field])));
        }
        Ok(())
    }
    .boxed()
}
