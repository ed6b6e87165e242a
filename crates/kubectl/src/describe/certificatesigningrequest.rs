//! The page of a CertificateSigningRequest.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;
use serde_json::Value;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{OID_X509_POSTAL_CODE, OID_X509_SERIALNUMBER, OID_X509_STREET_ADDRESS, Oid};
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use super::page::Page;
use super::time::date;
use super::tree::{list, text};
use super::{Events, Member, labels};
use crate::failure::Failure;

pub(super) const MEMBER: Member = Member {
    group: "certificates.k8s.io",
    kind: "CertificateSigningRequest",
    events: Events::Own,
    write: |_, object, page| async move { write(object, page) }.boxed(),
};

fn write(object: &Value, page: &mut Page) -> Result<(), Failure> {
    let (metadata, spec) = (&object["metadata"], &object["spec"]);
    let unread = |why: &str| Failure::message(format!("Error parsing CSR: {why}"));
    let request = STANDARD.decode(text(&spec["request"])).unwrap_or_default();
    let pem = parse_x509_pem(&request).ok().map(|(_, pem)| pem).filter(|pem| pem.label == "CERTIFICATE REQUEST");
    let pem = pem.ok_or_else(|| unread("PEM block type must be CERTIFICATE REQUEST"))?;
    let (_, request) = X509CertificationRequest::from_der(&pem.contents).map_err(|error| unread(&error.to_string()))?;
    page.field(0, "Name", text(&metadata["name"]));
    page.field(0, "Labels", labels::joined(&metadata["labels"]));
    page.field(0, "Annotations", labels::joined(&metadata["annotations"]));
    page.field(0, "CreationTimestamp", date(&metadata["creationTimestamp"]));
    page.field(0, "Requesting User", text(&spec["username"]));
    page.field_if(0, "Signer", text(&spec["signerName"]));
    if let Some(seconds) = spec["expirationSeconds"].as_i64() {
        page.field(0, "Requested Duration", meta::time::human(seconds));
    }
    page.field(0, "Status", status(object));
    subject(page, &request.certification_request_info.subject);
    names(page, &request);
    Ok(())
}

/// What has become of it, in a word or two.
fn status(object: &Value) -> String {
    let has = |kind: &str| list(&object["status"]["conditions"]).iter().any(|condition| condition["type"] == kind);
    let word = if has("Denied") { "Denied" } else if has("Approved") { "Approved" } else { "Pending" };
    let failed = if has("Failed") { ",Failed" } else { "" };
    let issued = if text(&object["status"]["certificate"]).is_empty() { "" } else { ",Issued" };
    format!("{word}{failed}{issued}")
}

fn subject(page: &mut Page, subject: &X509Name<'_>) {
    fn all<'n>(parts: impl Iterator<Item = &'n AttributeTypeAndValue<'n>>) -> Vec<String> {
        parts.map(|part| part.as_str().unwrap_or_default().to_owned()).collect()
    }
    let by = |oid: &Oid<'static>| all(subject.iter_by_oid(oid));
    page.line(0, "Subject:");
    let single = [("Common Name", all(subject.iter_common_name())), ("Serial Number", by(&OID_X509_SERIALNUMBER))];
    single.into_iter().for_each(|(name, values)| below(page, name, &values.last().cloned().unwrap_or_default()));
    for (name, values) in [
        ("Organization", all(subject.iter_organization())),
        ("Organizational Unit", all(subject.iter_organizational_unit())),
        ("Country", all(subject.iter_country())),
        ("Locality", all(subject.iter_locality())),
        ("Province", all(subject.iter_state_or_province())),
        ("StreetAddress", by(&OID_X509_STREET_ADDRESS)),
        ("PostalCode", by(&OID_X509_POSTAL_CODE)),
    ] {
        each_below(page, name, &values);
    }
}

fn names(page: &mut Page, request: &X509CertificationRequest<'_>) {
    let (mut dns, mut email, mut uris, mut addresses) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let alternatives = request.requested_extensions().into_iter().flatten().filter_map(|extension| match extension {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    });
    for name in alternatives.flatten() {
        match name {
            GeneralName::DNSName(name) => dns.push((*name).to_owned()),
            GeneralName::RFC822Name(name) => email.push((*name).to_owned()),
            GeneralName::URI(name) => uris.push((*name).to_owned()),
            GeneralName::IPAddress(bytes) => addresses.extend(address(bytes).map(|address| address.to_string())),
            _ => {}
        }
    }
    if [&dns, &email, &uris, &addresses].iter().all(|values| values.is_empty()) {
        return;
    }
    page.line(0, "Subject Alternative Names:");
    each_below(page, "DNS Names", &dns);
    each_below(page, "Email Addresses", &email);
    each_below(page, "URIs", &uris);
    each_below(page, "IP Addresses", &addresses);
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

fn below(page: &mut Page, name: &str, value: &str) {
    page.line(0, format!("\t{name}:\t{value}"));
}

fn each_below(page: &mut Page, name: &str, values: &[String]) {
    if !values.is_empty() {
        below(page, name, &values.join("\n\t\t"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Of joe, with two organizations, two names and an address.
    const REQUEST: &str = "\
-----BEGIN CERTIFICATE REQUEST-----\n\
MIIBNDCB2gIBADAmMQowCAYDVQQKDAFhMQowCAYDVQQKDAFiMQwwCgYDVQQDDANq\n\
b2UwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASqsNlcPIjlcQ+xwUwvzZuSaKUZ\n\
g2Oi2MxiFDe/D8e/3EuftNthEU8mCcnMQvVoBG9bcHkKVQWA1x1qlyWwUzsxoFIw\n\
UAYJKoZIhvcNAQkOMUMwQTA/BgNVHREEODA2gg14LmV4YW1wbGUuY29tgg15LmV4\n\
YW1wbGUuY29thwQKAAABhxD9AAAAAAAAAAAAAAAAAAABMAoGCCqGSM49BAMCA0kA\n\
MEYCIQDY5qz+OF+5F+8su+si6qHxGso1Jy6yFmC24wLx/zrhhwIhAIto5fAfUZok\n\
HHv84VkTvXlf4TjZ0KVeomJ9e6j9Vjdg\n\
-----END CERTIFICATE REQUEST-----\n\
";

    #[test]
    fn the_page_shows_what_is_asked_for() {
        let object = json!({
            "metadata": {"name": "joe", "labels": {"a": "b"}, "creationTimestamp": null},
            "spec": {"request": STANDARD.encode(REQUEST), "username": "admin", "signerName": "example.com/signer", "expirationSeconds": 7200},
            "status": {"conditions": [{"type": "Approved", "status": "True"}], "certificate": "eA=="},
        });
        let mut page = Page::default();
        write(&object, &mut page).expect("can be read");
        let wanted = "\
Name:                joe
Labels:              a=b
Annotations:         <none>
CreationTimestamp:   Mon, 01 Jan 0001 00:00:00 +0000
Requesting User:     admin
Signer:              example.com/signer
Requested Duration:  120m
Status:              Approved,Issued
Subject:
  Common Name:    joe
  Serial Number:  
  Organization:   a
                  b
Subject Alternative Names:
  DNS Names:     x.example.com
                 y.example.com
  IP Addresses:  10.0.0.1
                 fd00::1
";
        assert_eq!(page.finish(), wanted);
        let unread = write(&json!({"spec": {"request": "eA=="}}), &mut Page::default()).expect_err("is none");
        assert!(unread.to_string().contains("Error parsing CSR: PEM block type must be CERTIFICATE REQUEST"), "{unread}");
    }
}
