//! Rules that cannot be, aliases that lead elsewhere, and circles. What the others do: `tests/coredns/rewrite.txt`.

use crate::corefile::Files;
use crate::kit::{self, Cluster, Upstream, record};
use crate::plan::compile;

#[test]
fn rules_that_make_no_sense_are_refused() {
    for (rule, why) in [
        ("name a", "too few arguments for a name rule"),
        ("name almost a b", "supports only exact, prefix, suffix, substring, and regex"),
        ("name regex (a b", "could not parse regex"),
        ("name regex a.c {1}.b", "uses more subexpressions"),
        ("name suffix a b answer", "type missing for answer rule"),
        ("name suffix a b auto", "exceeded the number of arguments"),
        ("name suffix a b answer auto answer name (a) {1}", "cannot be combined"),
        ("name suffix a b answer value a", "2 arguments required"),
        ("name regex a b metadata c", "property 'metadata' is not supported"),
        ("ttl a.example 5-3", "invalid TTL '5-3'"),
        ("ttl a.example -", "invalid TTL '-'"),
        ("type A NONSENSE", "invalid type \"NONSENSE\""),
        ("rcode a.example NXDOMAIN", "wrong number (2) of arguments"),
        ("rcode a.example NXDOMAIN WHAT", "WHAT is not a valid rcode"),
        ("edns0 local set 0xffee 0x61", "rule type 'edns0' is not supported"),
        ("answer name a b", "response rewrites must begin with a name rule"),
        ("cname a", "too few (1) arguments for a cname rule"),
        ("what a b", "invalid rule type \"what\""),
    ] {
        let refused = compile(&format!(". {{\n\n    rewrite {rule}\n}}\n"), &Files::new(), &kit::environment());
        let fault = refused.err().unwrap_or_else(|| panic!("{rule} is taken"));
        assert!(fault.line == 3 && fault.why.contains(why), "{rule}: {fault}");
    }
}

#[tokio::test]
async fn aliases_lead_elsewhere() {
    let upstream = Upstream::new().await;
    let cluster = Cluster::new(&format!(
        ". {{\n rewrite cname suffix .cdn.example. .d.svc.cluster.local.\n kubernetes cluster.local {{\n }}\n forward . {}\n}}\n",
        upstream.address
    ));
    let serve = async {
        let (question, from) = upstream.next().await;
        let records = ["a.example. 20 CNAME b.example.", "b.example. 20 CNAME web.cdn.example.", "web.cdn.example. 20 A 192.0.2.1"];
        upstream.say(&question, from, |message| message.answers = records.map(record).to_vec()).await;
    };
    let (said, ()) = tokio::join!(cluster.ask("a.example.", "A"), serve);
    let aliases = "a.example. 20 CNAME b.example.; b.example. 20 CNAME web.d.svc.cluster.local.";
    assert_eq!(said, format!("NOERROR | {aliases}; web.d.svc.cluster.local. 5 A 10.96.0.7"));
}

#[tokio::test]
async fn circles_end() {
    // A service elsewhere whose name comes back to it; templates that ask for each other; a rule that makes names longer.
    let cluster = Cluster::new(
        ". {\n cache 30\n rewrite name exact known.example outside.d.svc.cluster.local\n rewrite name suffix .long .x.y.z.long\n\
         template IN A self.test {\n answer \"{{ .Name }} 5 IN CNAME self.test.\"\n }\n\
         template IN A loop.test {\n answer \"{{ .Name }} 5 IN CNAME a.{{ .Name }}\"\n }\n kubernetes cluster.local {\n }\n}\n",
    );
    assert!(cluster.ask("outside.d.svc.cluster.local.", "A").await.starts_with("NOERROR aa | "));
    let said = cluster.ask("loop.test.", "A").await;
    assert_eq!(said.matches("CNAME").count(), usize::from(crate::limits::DEPTH) + 1, "{said}");
    let said = cluster.ask("self.test.", "A").await;
    assert_eq!(said.matches("CNAME").count(), usize::from(crate::limits::DEPTH) + 1, "{said}");
    let long = format!("{}long.", "abcdefgh.".repeat(27));
    assert_eq!(cluster.ask(&long, "A").await, "SERVFAIL", "no name any more");
}
