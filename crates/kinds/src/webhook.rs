//! Where a webhook is: what definitions and configurations say of it, read once (upstream: `apiserver/pkg/util/webhook`).

use base64::Engine;

use crate::view::View;

/// The port of a Service that does not say another one.
const PORT: u16 = 443;

/// How a webhook is reached, and who it must be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    /// Where it is.
    pub place: Place,
    /// Authorities in PEM that may have signed its certificate; empty: those that the system trusts.
    pub bundle: Vec<u8>,
}

/// Where a webhook is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// At a URL: `https`, a host, and perhaps a port and a path.
    Url(String),
    /// Behind a Service of the cluster.
    Service {
        /// The Service's namespace.
        namespace: String,
        /// The Service's name.
        name: String,
        /// The Service's port, not that of its pods.
        port: u16,
        /// The path of the request: empty, or with its slash.
        path: String,
    },
}

impl Client {
    /// Reads a `clientConfig` that was found good; `None` if it names no place.
    pub fn read(config: &View<'_>) -> Option<Client> {
        let place = match (config.get("url"), config.get("service")) {
            (Some(url), _) => Place::Url(url.str().to_owned()),
            (None, Some(service)) => Place::Service {
                namespace: service.text("namespace").to_owned(),
                name: service.text("name").to_owned(),
                port: u16::try_from(service.number("port")).ok().filter(|port| *port != 0).unwrap_or(PORT),
                path: service.text("path").to_owned(),
            },
            (None, None) => return None,
        };
        let bundle = base64::engine::general_purpose::STANDARD.decode(config.text("caBundle")).unwrap_or_default();
        // Nothing but white space is no bundle.
        let bundle = if bundle.trim_ascii().is_empty() { Vec::new() } else { bundle };
        Some(Client { place, bundle })
    }

    /// The address as messages show it.
    pub fn url(&self) -> String {
        match &self.place {
            Place::Url(url) => url.clone(),
            Place::Service { namespace, name, port, path } => {
                let slash = if path.is_empty() || path.starts_with('/') { "" } else { "/" };
                format!("https://{name}.{namespace}.svc:{port}{slash}{path}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use meta::field::Path;
    use serde_json::{Value, json};

    use super::*;

    fn read(config: &Value) -> Option<Client> {
        Client::read(&View::new(Some(config), Path::new("clientConfig")))
    }

    #[test]
    fn places_are_urls_or_services() {
        let service = read(&json!({"service": {"namespace": "n", "name": "s"}, "caBundle": "Cg=="})).expect("a place");
        assert_eq!((&*service.url(), service.bundle.len()), ("https://s.n.svc:443", 0));
        let service = read(&json!({"service": {"namespace": "n", "name": "s", "port": 9443, "path": "/a/b"}, "caBundle": "QQ=="}));
        assert_eq!(service.map(|s| (s.url(), s.bundle)), Some(("https://s.n.svc:9443/a/b".to_owned(), b"A".to_vec())));
        assert_eq!(read(&json!({"url": "https://h/x"})).map(|url| url.url()), Some("https://h/x".to_owned()));
        assert_eq!(read(&json!({})), None);
    }
}
