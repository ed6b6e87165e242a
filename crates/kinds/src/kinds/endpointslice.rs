//! EndpointSlice.

use std::collections::HashSet;

use meta::field::{Error, Errors};
use meta::{Object, text};
use serde_json::Value;

use crate::Now;
use crate::descriptor::Descriptor;
use crate::print::{AGE, NAME, or, three_of};
use crate::rules::{Column, Context, Rules, age};
use crate::tree::{default_absent, each_mut, same_pointers};
use crate::validate::metadata::labels;
use crate::validate::{IMMUTABLE, dns_label, dns_subdomain, ip, own_metadata, qualified_name};
use crate::view::View;

static COLUMNS: [Column; 5] = [
    NAME,
    crate::print::text("AddressType", "Sort of the addresses"),
    crate::print::text("Ports", "Ports of every endpoint"),
    crate::print::text("Endpoints", "Addresses"),
    AGE,
];

const MAX_ENDPOINTS: usize = 1000;
const MAX_ADDRESSES: usize = 100;
const MAX_PORTS: usize = 20_000;
const MAX_TOPOLOGY: usize = 16;
const MAX_HINTS: usize = 8;

struct EndpointSlice;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", EndpointSlice)
}

impl Rules for EndpointSlice {
    fn default(&self, object: &mut Object) {
        for port in each_mut(object.fields_mut(), "ports") {
            default_absent(port, "name", "");
            default_absent(port, "protocol", "TCP");
        }
    }

    fn prepare_create(&self, object: &mut Object, _context: &Context) {
        drop_topology(object);
        drop_empty(object);
    }

    /// What a client sends counts as a change, even if it is not taken.
    fn prepare_update(&self, new: &mut Object, old: &Object, _context: &Context) {
        let changed = |path: &&str| !same_pointers(new.at(path), old.at(path));
        let endpoints = changed(&"endpoints");
        if endpoints || ["addressType", "ports", "metadata.labels"].iter().any(changed) {
            new.set("metadata.generation", old.generation() + 1);
        }
        if endpoints {
            drop_topology(new);
        }
        drop_empty(new);
    }

    fn has_generation(&self) -> bool {
        true
    }

    fn generation_changes(&self, _new: &Object, _old: &Object) -> bool {
        false
    }

    fn validate(&self, object: &Object) -> Errors {
        let mut errors = Errors::new();
        check_type_and_ports(object, &mut errors);
        endpoints(object, &mut errors);
        errors
    }

    fn validate_update(&self, new: &Object, old: &Object) -> Errors {
        let mut errors = own_metadata(new, true, &|name, prefix| self.validate_name(name, prefix));
        check_type_and_ports(new, &mut errors);
        if !same_pointers(new.at("endpoints"), old.at("endpoints")) {
            endpoints(new, &mut errors);
        }
        if new.str_at("addressType") != old.str_at("addressType") {
            errors.push(View::of(new, "addressType").invalid(IMMUTABLE));
        }
        errors
    }

    fn warnings(&self, new: &Object, old: Option<&Object>) -> Vec<String> {
        let mut warnings = Vec::new();
        if old.is_none() && new.str_at("addressType") == "FQDN" {
            warnings.push("spec.addressType: FQDN endpoints are deprecated".to_owned());
        }
        let by = new.label("endpointslice.kubernetes.io/managed-by").unwrap_or("");
        if !matches!(by, "endpointslice-controller.k8s.io" | "endpointslicemirroring-controller.k8s.io") {
            let addresses = View::of(new, "endpoints").items().flat_map(|e| e.each("addresses"));
            warnings.extend(addresses.filter_map(|a| ip::warning(&a.path.to_string(), a.str())));
        }
        warnings
    }

    fn columns(&self) -> &'static [Column] {
        &COLUMNS
    }

    fn row(&self, object: &Object, now: &Now) -> Vec<Value> {
        let port = |p: View<'_>| match p.at("port").int() {
            Some(number) => number.to_string(),
            None => p.get("name").map_or("*", |n| n.str()).to_owned(),
        };
        let ports: Vec<String> = View::of(object, "ports").items().map(port).collect();
        let endpoints = View::of(object, "endpoints");
        let addresses: Vec<String> = endpoints.items().flat_map(|e| e.each("addresses")).map(|a| a.str().to_owned()).collect();
        vec![
            object.name().into(),
            object.str_at("addressType").into(),
            or(&three_of(&ports), "<unset>").into(),
            three_of(&addresses).into(),
            age(object, now).into(),
        ]
    }
}

/// The old topology is not taken from clients of v1.
fn drop_topology(slice: &mut Object) {
    each_mut(slice.fields_mut(), "endpoints").for_each(|e| drop(e.remove("deprecatedTopology")));
}

/// Empty lists are none: upstream stores them so.
fn drop_empty(slice: &mut Object) {
    slice.fields_mut().retain(|name, value| !matches!(&**name, "endpoints" | "ports") || *value != Value::Array(Vec::new()));
}

fn check_type_and_ports(object: &Object, errors: &mut Errors) {
    let address_type = View::of(object, "addressType");
    if address_type.str().is_empty() {
        errors.push(address_type.required(""));
    } else {
        address_type.one_of(&["FQDN", "IPv4", "IPv6"], errors);
    }
    let ports = View::of(object, "ports");
    if ports.list().len() > MAX_PORTS {
        errors.push(Error::too_many(&ports.path, ports.list().len(), MAX_PORTS));
        return;
    }
    let mut names = HashSet::new();
    for port in ports.items() {
        let name = port.at("name");
        if !name.str().is_empty() {
            dns_label(&name, errors);
        }
        if !names.insert(name.str()) {
            errors.push(name.duplicate());
        }
        let protocol = port.at("protocol");
        if protocol.exists() {
            protocol.one_of(&["SCTP", "TCP", "UDP"], errors);
        } else {
            errors.push(protocol.required(""));
        }
        if let Some(application) = port.get("appProtocol") {
            qualified_name(&application, errors);
        }
    }
}

fn endpoints(object: &Object, errors: &mut Errors) {
    let list = View::of(object, "endpoints");
    if list.list().len() > MAX_ENDPOINTS {
        errors.push(Error::too_many(&list.path, list.list().len(), MAX_ENDPOINTS));
        return;
    }
    for endpoint in list.items() {
        let addresses = endpoint.at("addresses");
        match addresses.list().len() {
            0 => errors.push(addresses.required("must contain at least 1 address")),
            n if n > MAX_ADDRESSES => errors.push(Error::too_many(&addresses.path, n, MAX_ADDRESSES)),
            _ => {}
        }
        addresses.items().for_each(|a| address(&a, &addresses, object.str_at("addressType"), errors));
        if let Some(node) = endpoint.get("nodeName") {
            dns_subdomain(&node, errors);
        }
        let topology = endpoint.at("deprecatedTopology");
        if topology.map().len() > MAX_TOPOLOGY {
            errors.push(Error::too_many(&topology.path, topology.map().len(), MAX_TOPOLOGY));
        }
        errors.extend(labels(topology.value(), &topology.path));
        if let Some(name) = endpoint.get("hostname") {
            dns_label(&name, errors);
        }
        if let Some(hints) = endpoint.get("hints") {
            check_hints(&hints, errors);
        }
    }
}

fn address(address: &View<'_>, list: &View<'_>, address_type: &str, errors: &mut Errors) {
    match address_type {
        "IPv4" | "IPv6" => {
            let Some(parsed) = ip::address(address, address_type == "IPv6", errors) else { return };
            if parsed.is_ipv4() != (address_type == "IPv4") {
                let detail = format!("must be an {address_type} address");
                errors.push(Error::invalid(&list.path, address.str(), detail));
            }
            ip::endpoint(address, errors);
        }
        "FQDN" if address.str().is_empty() => errors.push(address.required("")),
        "FQDN" => {
            let wrong = text::fully_qualified_domain(address.str());
            if !wrong.is_empty() {
                errors.push(address.invalid(wrong.join(",")));
            }
        }
        _ => {}
    }
}

fn check_hints(hints: &View<'_>, errors: &mut Errors) {
    for field in ["forZones", "forNodes"] {
        let list = hints.at(field);
        if list.list().len() > MAX_HINTS {
            errors.push(Error::too_many(&list.path, list.list().len(), MAX_HINTS));
            return;
        }
        let mut seen = HashSet::new();
        for hint in list.items() {
            let name = hint.at("name");
            if !seen.insert(name.str()) {
                errors.push(name.duplicate());
            }
            let zone = field == "forZones";
            let wrong = if zone { text::label_value(name.str()) } else { text::dns1123_subdomain(name.str(), false) };
            name.all_invalid(wrong, errors);
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    fn slice(value: Value) -> Object {
        Object::from_value(value).unwrap_or_default()
    }

    #[test]
    fn what_is_not_taken_is_a_change() {
        let old = slice(json!({"metadata": {"generation": 1}, "endpoints": [{"addresses": ["10.1.1.1"]}]}));
        let mut new = slice(json!({"metadata": {"generation": 1}, "endpoints": [{"addresses": ["10.1.1.1"],
            "deprecatedTopology": {"a": "b"}}]}));
        EndpointSlice.prepare_update(&mut new, &old, &Context::default());
        assert_eq!((new.at("endpoints"), new.generation()), (old.at("endpoints"), 2));
        let mut other = slice(json!({"metadata": {"generation": 1}, "endpoints": [{"addresses": ["10.1.1.1"],
            "conditions": {"ready": false}}], "ports": []}));
        EndpointSlice.prepare_update(&mut other, &old, &Context::default());
        assert_eq!((other.generation(), other.at("ports")), (2, None));
        let mut same = old.clone();
        EndpointSlice.prepare_update(&mut same, &old, &Context::default());
        assert_eq!(same, old);
    }

    #[test]
    fn a_port_that_says_nothing_is_unset() {
        let row = EndpointSlice.row(&slice(json!({"ports": [{"name": ""}]})), &Now::at(Timestamp::UNIX_EPOCH));
        assert_eq!(row[2], "<unset>");
    }

    #[test]
    fn empty_lists_are_none() {
        let mut new = slice(json!({"endpoints": [], "ports": []}));
        EndpointSlice.prepare_create(&mut new, &Context::default());
        assert_eq!(new, slice(json!({})));
    }

    #[test]
    fn a_protocol_may_not_be_empty() {
        let ports = json!([{"name": "a", "protocol": ""}, {"name": "b"}]);
        let mut errors = Errors::new();
        check_type_and_ports(&slice(json!({"addressType": "IPv4", "ports": ports})), &mut errors);
        let shown: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let unsupported = r#"ports[0].protocol: Unsupported value: "": supported values: "SCTP", "TCP", "UDP""#;
        assert_eq!(shown, [unsupported, "ports[1].protocol: Required value"]);
    }
}
