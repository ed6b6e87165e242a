//! The page of a PriorityClass.

use futures::FutureExt;

use super::tree::{number, text, truth};
use super::{Events, Member, labels};

pub(super) const MEMBER: Member = Member {
    group: "scheduling.k8s.io",
    kind: "PriorityClass",
    events: Events::Own,
    write: |_, object, page| {
        async move {
            page.field(0, "Name", text(&object["metadata"]["name"]));
            page.field(0, "Value", number(&object["value"]));
            page.field(0, "GlobalDefault", truth(&object["globalDefault"]));
            page.field(0, "PreemptionPolicy", text(&object["preemptionPolicy"]));
            page.field(0, "Description", text(&object["description"]));
            page.field(0, "Annotations", labels::joined(&object["metadata"]["annotations"]));
            Ok(())
        }
        .boxed()
    },
};
