//! What the store's refusals are called at the API.

use meta::status::Cause;
use meta::{Reason, Status};

/// The list or watch asked for is older than what is kept.
pub(crate) const LIST_EXPIRED: &str = "The resourceVersion for the provided list is too old.";

/// A store error outside of a conditional write.
pub(crate) fn from_store(error: store::Error) -> Status {
    match error {
        store::Error::Compacted { .. } => Status::expired(LIST_EXPIRED),
        store::Error::Future { asked, current } => too_large(asked, current),
        other => {
            tracing::error!(error = %other, "the store failed");
            Status::internal(other)
        }
    }
}

/// 504: the revision asked for lies in the future.
pub(crate) fn too_large(asked: u64, current: u64) -> Status {
    let mut status =
        Status::new(Reason::Timeout, format!("Timeout: Too large resource version: {asked}, current: {current}"));
    status.retry_after = 1;
    status.causes = vec![Cause {
        reason: "ResourceVersionTooLarge".to_owned(),
        message: "Too large resource version".to_owned(),
        field: String::new(),
    }];
    status
}

/// Reads a resourceVersion; empty is 0. The error text is the one after `invalid resource version: `.
pub(crate) fn parse_revision(text: &str) -> Result<u64, String> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| {
        let why = if text.bytes().all(|b| b.is_ascii_digit()) { "value out of range" } else { "invalid syntax" };
        format!("resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: {why}")
    })
}
