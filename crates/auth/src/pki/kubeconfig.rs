//! The file by which a client finds the cluster and says who it is.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::authority::Issued;

/// A kubeconfig with everything embedded: `ca` is PEM, `server` a URL. Contexts are named as kubeadm does.
pub fn kubeconfig(server: &str, ca: &str, user: &str, issued: &Issued) -> String {
    let encode = |text: &str| BASE64_STANDARD.encode(text);
    format!(
        "apiVersion: v1
kind: Config
clusters:
- name: kubernetes
  cluster:
    certificate-authority-data: {}
    server: {server}
users:
- name: {user}
  user:
    client-certificate-data: {}
    client-key-data: {}
contexts:
- name: {user}@kubernetes
  context:
    cluster: kubernetes
    user: {user}
current-context: {user}@kubernetes
preferences: {{}}
",
        encode(ca),
        encode(&issued.certificate_pem),
        encode(&issued.key_pem),
    )
}
