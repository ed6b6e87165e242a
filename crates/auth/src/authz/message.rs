//! The text of a refusal (upstream: `apiserver/pkg/endpoints/handlers/responsewriters`).

use meta::{Attributes, Status};

/// The 403 for a refused request; `reason` is the authorizers', possibly empty.
pub fn forbidden(attributes: &Attributes, reason: &str) -> Status {
    let mut why = sanitized(&cannot(attributes));
    if !reason.is_empty() {
        why.push_str(": ");
        why.push_str(reason);
    }
    Status::forbidden(&attributes.group, &attributes.resource, &attributes.name, &why)
}

fn cannot(a: &Attributes) -> String {
    let user = &a.user.name;
    if !a.is_resource() {
        return format!("User {user:?} cannot {} path {:?}", a.verb, a.path);
    }
    let resource =
        if a.subresource.is_empty() { a.resource.clone() } else { format!("{}/{}", a.resource, a.subresource) };
    let place = if a.namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace {:?}", a.namespace)
    };
    format!("User {user:?} cannot {} resource {resource:?} in API group {:?} {place}", a.verb, a.group)
}

/// A message with a path in it must not be taken for HTML by a browser.
fn sanitized(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::User;

    #[test]
    fn refusals_read_as_upstream() {
        let pods = Attributes {
            user: User::new("jane", &[]),
            verb: "list".into(),
            version: "v1".into(),
            resource: "pods".into(),
            namespace: "y".into(),
            ..Attributes::default()
        };
        let text = r#"pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "y""#;
        assert_eq!(forbidden(&pods, "").message, text);
        let scale = Attributes {
            group: "apps".into(),
            resource: "deployments".into(),
            subresource: "scale".into(),
            namespace: String::new(),
            name: "web".into(),
            ..pods
        };
        let text = r#"deployments.apps "web" is forbidden: User "jane" cannot list resource "deployments/scale" in API group "apps" at the cluster scope: because"#;
        assert_eq!(forbidden(&scale, "because").message, text);
        let path = Attributes {
            user: User::new("jane", &[]),
            verb: "get".into(),
            path: "/<x>".into(),
            ..Attributes::default()
        };
        assert_eq!(forbidden(&path, "").message, r#"forbidden: User "jane" cannot get path "/&lt;x&gt;""#);
    }
}
