//! The page of a ConfigMap.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;

use super::tree::{entries, text};
use super::{Events, Member, head};

pub(super) const MEMBER: Member = Member {
    group: "",
    kind: "ConfigMap",
    events: Events::Own,
    write: |_, object, page| {
        async move {
            head(page, object);
            page.line(0, "\nData\n====");
            for (key, value) in entries(&object["data"]) {
                page.line(0, format!("{key}:\n----\n{}\n", text(value)));
            }
            page.line(0, "\nBinaryData\n====");
            for (key, value) in entries(&object["binaryData"]) {
                page.line(0, format!("{key}: {} bytes", STANDARD.decode(text(value)).map_or(0, |v| v.len())));
            }
            page.line(0, "");
            Ok(())
        }
        .boxed()
    },
};
