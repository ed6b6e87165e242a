//! The page of a Namespace, with its quotas and limits.

use futures::FutureExt;

use super::time::date;
use super::tree::{list, text};
use super::{Events, Member, marks, quotas};

pub(super) const MEMBER: Member = Member {
    group: "",
    kind: "Namespace",
    events: Events::Never,
    write: |session, object, page| {
        async move {
            let name = text(&object["metadata"]["name"]);
            page.field(0, "Name", name);
            marks(page, object);
            page.field(0, "Status", text(&object["status"]["phase"]));
            let conditions = list(&object["status"]["conditions"]);
            if !conditions.is_empty() {
                page.line(0, "Conditions:");
                page.headers(1, &["Type", "Status", "LastTransitionTime", "Reason", "Message"]);
            }
            for c in conditions {
                let field = |name: &str| text(&c[name]);
                let time = date(&c["lastTransitionTime"]);
                page.row(1, &[field("type"), field("status"), &time, field("reason"), field("message")]);
            }
            let base = format!("/api/v1/namespaces/{name}");
            // A server without these kinds has nothing to say about them.
            let found = session.items(&format!("{base}/resourcequotas")).await;
            if let Some(found) = quotas::known(found)? {
                page.line(0, "");
                quotas::all_quotas(page, found);
            }
            let found = session.items(&format!("{base}/limitranges")).await;
            if let Some(found) = quotas::known(found)? {
                page.line(0, "");
                quotas::all_limits(page, &found);
            }
            Ok(())
        }
        .boxed()
    },
};
