//! The page of a Secret: sizes, no contents.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;

use super::tree::{entries, text};
use super::{Events, Member, head};

pub(super) const MEMBER: Member = Member {
    group: "",
    kind: "Secret",
    events: Events::Never,
    write: |_, object, page| {
        async move {
            head(page, object);
            let kind = text(&object["type"]);
            page.field(0, "\nType", kind);
            page.line(0, "\nData\n====");
            for (key, value) in entries(&object["data"]) {
                let value = STANDARD.decode(text(value)).unwrap_or_default();
                match key == "token" && kind == "kubernetes.io/service-account-token" {
                    true => page.field(0, key, String::from_utf8_lossy(&value)),
                    false => page.field(0, key, format!("{} bytes", value.len())),
                }
            }
            Ok(())
        }
        .boxed()
    },
};
