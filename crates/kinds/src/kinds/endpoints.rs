//! Endpoints.

use meta::Object;
use meta::field::Errors;
use serde_json::Value;

use crate::Now;
use crate::descriptor::Descriptor;
use crate::print::{AGE, NAME};
use crate::rules::{Column, Rules, age};
use crate::tree::{default_zero, each_mut, same_at};
use crate::validate::{dns_label, dns_subdomain, ip, own_metadata, own_metadata_update, port_number, protocol, qualified_name};
use crate::view::View;

static COLUMNS: [Column; 3] = [NAME, crate::print::text("Endpoints", "Addresses and ports"), AGE];

struct Endpoints;

/// What is served.
pub fn descriptor() -> Descriptor {
    Descriptor::builtin("v1", "Endpoints", "endpoints", Endpoints).short("ep").stored_at("/registry/services/endpoints/")
}

impl Rules for Endpoints {
    fn deprecated(&self) -> Option<&'static str> {
        Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice")
    }

    fn default(&self, object: &mut Object) {
        for port in each_mut(object.fields_mut(), "subsets").flat_map(|s| each_mut(s, "ports")) {
            default_zero(port, "protocol", "TCP");
        }
    }

    fn validate(&self, object: &Object) -> Errors {
        let mut errors = Errors::new();
        View::of(object, "subsets").items().for_each(|s| subset(&s, &mut errors));
        errors
    }

    fn validate_update(&self, new: &Object, old: &Object) -> Errors {
        let mut errors = own_metadata_update(new, old);
        errors.extend(own_metadata(new, true, &|name, prefix| self.validate_name(name, prefix)));
        if !same_at(new, old, "subsets") {
            errors.extend(self.validate(new));
        }
        errors
    }

    fn create_on_update(&self) -> bool {
        true
    }

    /// Warns of addresses in unusual forms, unless the controller wrote them.
    fn warnings(&self, new: &Object, _old: Option<&Object>) -> Vec<String> {
        if new.label("endpoints.kubernetes.io/managed-by") == Some("endpoint-controller") {
            return Vec::new();
        }
        let subsets = View::of(new, "subsets");
        let addresses = subsets.items().flat_map(|s| s.each("addresses").chain(s.each("notReadyAddresses")));
        addresses.filter_map(|a| ip::warning(&a.at("ip").path.to_string(), a.text("ip"))).collect()
    }

    fn columns(&self) -> &'static [Column] {
        &COLUMNS
    }

    fn row(&self, object: &Object, now: &Now) -> Vec<Value> {
        vec![object.name().into(), shown(object).into(), age(object, now).into()]
    }
}

fn subset(subset: &View<'_>, errors: &mut Errors) {
    let (ready, not_ready) = (subset.at("addresses"), subset.at("notReadyAddresses"));
    if ready.is_empty() && not_ready.is_empty() {
        errors.push(subset.required("must specify `addresses` or `notReadyAddresses`"));
    }
    for address in ready.items().chain(not_ready.items()) {
        let at = address.at("ip");
        ip::address(&at, false, errors);
        if !address.text("hostname").is_empty() {
            dns_label(&address.at("hostname"), errors);
        }
        if let Some(node) = address.get("nodeName") {
            dns_subdomain(&node, errors);
        }
        ip::endpoint(&at, errors);
    }
    let several = subset.at("ports").list().len() > 1;
    for port in subset.each("ports") {
        let name = port.at("name");
        if several && name.str().is_empty() {
            errors.push(name.required(""));
        } else if !name.str().is_empty() {
            dns_label(&name, errors);
        }
        port_number(&port.at("port"), errors);
        protocol(&port.at("protocol"), errors);
        if let Some(application) = port.get("appProtocol") {
            qualified_name(&application, errors);
        }
    }
}

/// The first three addresses with their ports.
fn shown(object: &Object) -> String {
    let subsets = View::of(object, "subsets");
    if subsets.is_empty() {
        return "<none>".to_owned();
    }
    let mut list = Vec::new();
    for subset in subsets.items() {
        let addresses = || subset.each("addresses").map(|a| a.text("ip"));
        if subset.at("ports").is_empty() {
            list.extend(addresses().map(str::to_owned));
        }
        for port in subset.each("ports") {
            let number = port.number("port");
            let join = |ip: &str| if ip.contains(':') { format!("[{ip}]:{number}") } else { format!("{ip}:{number}") };
            list.extend(addresses().map(join));
        }
    }
    if list.is_empty() { String::new() } else { crate::print::three_of(&list) }
}
