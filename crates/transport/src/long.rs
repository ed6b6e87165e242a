//! Queries that are longer than a URI may be here: `http::Uri` holds 64 KiB, Kubernetes' servers take 1 MiB (Go:
//! `DefaultMaxHeaderBytes`), and a command to be executed stands in the query. What does not fit goes beside the URI.

use std::borrow::Cow;
use std::sync::Arc;

use http::{Extensions, Uri};
use tokio::sync::OwnedSemaphorePermit;

/// As much of a path and query stays in the URI, bytes.
pub const IN_URI: usize = 32 << 10;

/// What of a request's query is not in its URI, as an extension of the request: it follows what is there.
#[derive(Clone, Debug)]
pub struct Rest {
    text: Arc<str>,
    _held: Option<Arc<OwnedSemaphorePermit>>,
}

impl Rest {
    /// Holds the permit as long as it lives.
    pub fn new(text: &str, held: Option<OwnedSemaphorePermit>) -> Self {
        Rest { text: text.into(), _held: held.map(Arc::new) }
    }

    /// The text, as it stands in the first line of a request.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// The whole query of a request.
pub fn query<'a>(uri: &'a Uri, extensions: &Extensions) -> Cow<'a, str> {
    let beginning = uri.query().unwrap_or_default();
    match extensions.get::<Rest>() {
        Some(rest) => Cow::Owned(format!("{beginning}{}", rest.text)),
        None => Cow::Borrowed(beginning),
    }
}

/// A path with its query, as what becomes the URI and what goes beside it. A path that is too long by itself stays whole.
pub fn split(path: &str) -> (&str, Option<Rest>) {
    let cut = path.len() > IN_URI && path.is_char_boundary(IN_URI) && path[..IN_URI].contains('?');
    if !cut {
        return (path, None);
    }
    let (beginning, rest) = path.split_at(IN_URI);
    (beginning, Some(Rest::new(rest, None)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_split_is_the_same_again() {
        for length in [0, IN_URI - 10, IN_URI, 1 << 20] {
            let path = format!("/a/b?command={}", "x".repeat(length));
            let (beginning, rest) = split(&path);
            assert_eq!(rest.is_some(), path.len() > IN_URI);
            let (uri, mut extensions) = (beginning.parse::<Uri>().expect("uri"), Extensions::new());
            rest.map(|rest| extensions.insert(rest));
            assert_eq!(format!("{}?{}", uri.path(), query(&uri, &extensions)), path);
        }
        assert!(split(&"/".repeat(IN_URI * 2)).1.is_none());
    }
}
