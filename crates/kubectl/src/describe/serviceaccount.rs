//! The page of a ServiceAccount.

use futures::FutureExt;

use super::tree::{list, text};
use super::{Events, Member, head};

const HEADER: &str = "Image pull secrets:";

pub(super) const MEMBER: Member = Member {
    group: "",
    kind: "ServiceAccount",
    events: Events::Own,
    write: |_, object, page| {
        async move {
            head(page, object);
            let names: Vec<&str> = list(&object["imagePullSecrets"]).iter().map(|s| text(&s["name"])).collect();
            if names.is_empty() {
                page.row(0, &[HEADER, "<none>"]);
            }
            for (i, name) in names.into_iter().enumerate() {
                let header = if i == 0 { HEADER.to_owned() } else { " ".repeat(HEADER.len()) };
                page.row(0, &[header.as_str(), name]);
            }
            Ok(())
        }
        .boxed()
    },
};
