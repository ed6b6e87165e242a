//! Names that are looked up in the search path of who asks. What CoreDNS answers: `tests/coredns/autopath.txt`.

use std::io::Write;

use crate::corefile::Files;
use crate::kit::{self, Cluster};
use crate::steps::Environment;

/// A zone of all names: what is not in it is denied.
const ZONE: &str = ". 60 IN SOA ns. admin. 1 2 3 4 5\none.b.test. 60 IN A 192.0.2.1\ntwo. 60 IN A 192.0.2.2\n";
const SOA: &str = "|  | . 60 SOA ns. admin. 5";

fn files() -> Files {
    let resolv = "search a.test b.test\n";
    [("zone", ZONE), ("resolv", resolv)].map(|(name, text)| (name.to_owned(), text.to_owned())).into()
}

fn corefile(autopath: &str) -> String {
    format!(". {{\n {autopath}\n file /etc/coredns/zone\n}}\n")
}

#[tokio::test]
async fn the_first_name_that_is_there_answers() {
    let cluster = Cluster::with(&corefile("autopath /etc/coredns/resolv"), &files());
    let denied = format!("NXDOMAIN aa {SOA}");
    assert_eq!(cluster.ask("One.a.test.", "A").await, "NOERROR aa | One.a.test. 60 CNAME one.b.test.; one.b.test. 60 A 192.0.2.1");
    assert_eq!(cluster.ask("two.a.test.", "A").await, "NOERROR aa | two.a.test. 60 CNAME two.; two. 60 A 192.0.2.2");
    // It is there, and has no such address: that is an answer.
    assert_eq!(cluster.ask("one.a.test.", "AAAA").await, format!("NOERROR aa {SOA}"));
    for (name, why) in [("three.a.test.", "nowhere"), ("a.test.", "the domain itself"), ("one.c.test.", "another domain")] {
        assert_eq!(cluster.ask(name, "A").await, denied, "{why}");
    }
    let long = format!("{}.a.test.", vec!["x".repeat(60); 4].join("."));
    assert_eq!(cluster.ask(&long, "A").await, denied, "it has no place for another domain");
    let elsewhere = Cluster::with(&corefile("autopath c.test /etc/coredns/resolv"), &files());
    assert_eq!(elsewhere.ask("one.a.test.", "A").await, denied, "not for this zone");
}

#[tokio::test]
async fn the_path_is_that_of_the_pod_that_asks_and_goes_on_as_the_machines() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    writeln!(file, "search b.test").expect("write");
    let environment = Environment { resolv_conf: file.path().to_owned(), ..kit::environment() };
    let kubernetes = |pods: &str| format!("autopath @kubernetes\n kubernetes cluster.local {{\n pods {pods}\n }}");
    let cluster = Cluster::of(&environment, &corefile(&kubernetes("verified")), &files());
    let asked = kit::question("one.d.svc.cluster.local.", "A").to_vec().expect("bytes");
    let says = async |client: &str| {
        let bytes = cluster.send_from(&asked, false, client.parse().expect("an address")).await.expect("an answer");
        kit::lines(&hickory_proto::op::Message::from_vec(&bytes).expect("a message"))
    };
    let found = "NOERROR aa | one.d.svc.cluster.local. 60 CNAME one.b.test.; one.b.test. 60 A 192.0.2.1";
    assert_eq!(says("10.244.0.6").await, found, "a pod of the namespace");
    let denied = says("10.244.9.9").await;
    assert!(denied.starts_with("NXDOMAIN aa"), "{denied}: nobody knows this client, whatever another was told");
    assert_eq!(says("10.244.0.6").await, found);
    let unknown = Cluster::of(&environment, &corefile(&kubernetes("insecure")), &files());
    let said = unknown.send_from(&asked, false, "10.244.0.6".parse().expect("an address")).await.expect("an answer");
    let said = kit::lines(&hickory_proto::op::Message::from_vec(&said).expect("a message"));
    assert!(said.starts_with("NXDOMAIN"), "{said}: pods are not followed");
}
