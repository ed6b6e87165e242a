//! Service.

mod addresses;
pub mod externals;
mod prepare;
pub mod settle;
mod validate;
mod warnings;

use meta::field::Errors;
use meta::{Object, text};
use serde_json::Value;

use crate::Now;
use crate::descriptor::{CHANGE, Descriptor, PROXY};
use crate::print::{AGE, NAME, or, wide};
use crate::rules::{Column, Context, Rules, Word, age};
use crate::tree::only_status;
use crate::validate::own_metadata_update;
use crate::view::View;

static COLUMNS: [Column; 7] = [
    NAME,
    crate::print::text("Type", "How it is exposed"),
    crate::print::text("Cluster-IP", "Address within the cluster"),
    crate::print::text("External-IP", "Addresses from outside"),
    crate::print::text("Port(s)", "Ports, and ports on every node"),
    AGE,
    wide("Selector", "Which pods are behind it"),
];

struct Service;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("v1", "Service", "services", Service)
        .short("svc")
        .in_all()
        .stored_at("/registry/services/specs/")
        .sub_of("proxy", ("", "v1", "ServiceProxyOptions"), PROXY)
        .sub("status", CHANGE)
}

impl Rules for Service {
    fn returns_deleted(&self) -> bool {
        true
    }

    fn default(&self, object: &mut Object) {
        prepare::defaults(object);
    }

    fn prepare_create(&self, object: &mut Object, _context: &Context) {
        prepare::create(object);
    }

    fn prepare_update(&self, new: &mut Object, old: &Object, _context: &Context) {
        prepare::update(new, old);
    }

    fn prepare_subresource(&self, subresource: &str, new: &mut Object, old: &Object, _context: &Context) {
        if subresource == "status" {
            only_status(new, old);
        }
    }

    fn validate(&self, object: &Object) -> Errors {
        validate::service(object, None)
    }

    fn validate_update(&self, new: &Object, old: &Object) -> Errors {
        let mut errors = own_metadata_update(new, old);
        errors.extend(addresses::update(new, old));
        errors.extend(validate::update(new, old));
        errors.extend(validate::service(new, Some(old)));
        errors
    }

    fn validate_subresource(&self, subresource: &str, new: &Object, old: &Object) -> Errors {
        let mut errors = own_metadata_update(new, old);
        if subresource == "status" {
            errors.extend(validate::status(new, old));
        }
        errors
    }

    /// Upstream does so on every read: it stores what it once let pass.
    fn canonicalize(&self, object: &mut Object) {
        if object.str_at("spec.type") == "ExternalName" {
            object.remove("spec.internalTrafficPolicy");
        }
    }

    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        text::dns1123_label(name, prefix)
    }

    fn create_on_update(&self) -> bool {
        true
    }

    fn warnings(&self, new: &Object, _old: Option<&Object>) -> Vec<String> {
        warnings::service(new)
    }

    fn status_warnings(&self, new: &Object, _old: &Object) -> Vec<String> {
        warnings::status(new)
    }

    fn selectable(&self, object: &Object) -> Vec<(Word, String)> {
        let text = |path| object.str_at(path).to_owned();
        vec![("spec.clusterIP".into(), text("spec.clusterIP")), ("spec.type".into(), text("spec.type"))]
    }

    fn columns(&self) -> &'static [Column] {
        &COLUMNS
    }

    fn row(&self, object: &Object, now: &Now) -> Vec<Value> {
        let spec = View::of(object, "spec");
        let port = |p: View<'_>| match p.number("nodePort") {
            0 => format!("{}/{}", p.number("port"), p.text("protocol")),
            outside => format!("{}:{outside}/{}", p.number("port"), p.text("protocol")),
        };
        let ports: Vec<String> = spec.each("ports").map(port).collect();
        vec![
            object.name().into(),
            spec.text("type").into(),
            spec.at("clusterIPs").strings().next().unwrap_or("<none>").into(),
            external(object).into(),
            or(&ports.join(","), "<none>").into(),
            age(object, now).into(),
            crate::print::labels(spec.at("selector").value()).into(),
        ]
    }
}

/// The addresses under which the service is reached from outside.
fn external(object: &Object) -> String {
    let spec = View::of(object, "spec");
    let mut outside: Vec<&str> = spec.at("externalIPs").strings().collect();
    match spec.text("type") {
        "ClusterIP" | "NodePort" => or(&outside.join(","), "<none>").to_owned(),
        "LoadBalancer" => {
            let ingress = View::of(object, "status").at("loadBalancer").each("ingress");
            let mut balancers: Vec<&str> =
                ingress.map(|i| or(i.text("ip"), i.text("hostname"))).filter(|s| !s.is_empty()).collect();
            balancers.sort_unstable();
            balancers.dedup();
            balancers.append(&mut outside);
            or(&balancers.join(","), "<pending>").to_owned()
        }
        "ExternalName" => spec.text("externalName").to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use serde_json::json;

    #[test]
    fn a_node_port_service_in_the_table() {
        let service = json!({"metadata": {"name": "web"}, "spec": {"type": "NodePort", "clusterIPs": ["10.96.0.9"],
            "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}], "selector": {"app": "web"}}});
        let cells = Service.row(&Object::from_value(service).unwrap_or_default(), &Now::at(Timestamp::UNIX_EPOCH));
        let want = json!(["web", "NodePort", "10.96.0.9", "<none>", "80:30080/TCP", "<unknown>", "app=web"]);
        assert_eq!(Value::from(cells), want);
    }
}
