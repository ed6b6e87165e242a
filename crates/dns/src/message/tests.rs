//! OPT records, what a client can take, and what is no question.

use hickory_proto::op::Message;
use hickory_proto::rr::RData;

use super::*;
use crate::kit::{CLIENT, Cluster, extended, lines, question};

const WEB: &str = "Web.d.svc.Cluster.local.";

fn cluster() -> Cluster {
    let hosts: String = (0..100).map(|n| format!("        192.0.2.{n} many.example\n")).collect();
    Cluster::new(&format!(
        ". {{\n    hosts {{\n{hosts}        fallthrough\n    }}\n    kubernetes cluster.local {{\n    }}\n}}\n\
         small.example {{\n    bufsize 600\n    template IN A {{\n answer \"{{{{ .Name }}}} 5 IN A 192.0.2.1\"\n }}\n}}\n"
    ))
}

#[tokio::test]
async fn an_opt_record_answers_an_opt_record_and_nothing_else() {
    let cluster = cluster();
    for name in [WEB, "no.d.svc.cluster.local.", "d.svc.cluster.local.", "elsewhere.example."] {
        assert!(cluster.message(&question(name, "A")).await.edns.is_none(), "{name}");
        let mut asked = extended(name, "A", 1400);
        asked.edns.as_mut().expect("edns").set_dnssec_ok(true);
        let edns = cluster.message(&asked).await.edns.expect("an OPT record");
        assert_eq!((edns.version(), edns.max_payload(), edns.flags().dnssec_ok), (0, 1400, true), "{name}");
    }
    let small = cluster.message(&extended("a.small.example.", "A", 4096)).await.edns.expect("an OPT record");
    assert_eq!(small.max_payload(), 600, "bufsize");
}

#[tokio::test]
async fn another_version_is_refused_with_ours() {
    let mut asked = extended(WEB, "A", 1232);
    asked.edns.as_mut().expect("edns").set_version(1);
    let said = cluster().message(&asked).await;
    let edns = said.edns.as_ref().expect("an OPT record");
    assert_eq!((u16::from(said.metadata.response_code), edns.version(), said.answers.len()), (16, 0, 0));
    assert_eq!(said.queries.len(), 1);
}

#[tokio::test]
async fn as_much_is_said_as_the_client_takes() {
    let cluster = cluster();
    let name = "many.example.";
    let mut counts = Vec::new();
    for (message, tcp, limit) in [
        (question(name, "A"), false, 512),
        (extended(name, "A", 100), false, 512),
        (extended(name, "A", 1000), false, 1000),
        (extended(name, "A", 4096), false, 4096),
        (question(name, "A"), true, 65535),
    ] {
        let bytes = cluster.send(&message.to_vec().expect("a message"), tcp).await.expect("an answer");
        let said = Message::from_vec(&bytes).expect("a message");
        assert!(bytes.len() <= limit);
        assert_eq!(said.metadata.truncation, said.answers.len() < 100, "{limit}");
        // There is no place for one more.
        assert!(said.answers.len() == 100 || bytes.len() + 16 > limit, "{} of {limit}", bytes.len());
        counts.push(said.answers.len());
    }
    assert_eq!(counts, [30, 29, 59, 100, 100]);
}

#[tokio::test]
async fn names_come_back_as_they_were_written() {
    let said = cluster().message(&question(WEB, "A")).await;
    assert_eq!(crate::names::text(said.queries[0].name()), WEB);
    assert_eq!(lines(&said), format!("NOERROR aa | {WEB} 5 A 10.96.0.7"));
}

#[tokio::test]
async fn what_is_no_question_is_told_so_or_gets_nothing() {
    let cluster = cluster();
    let good = question(WEB, "A").to_vec().expect("a message");
    let changed = |change: fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        bytes
    };
    let code = async |bytes: Vec<u8>| {
        let said = cluster.send(&bytes, false).await?;
        Some((Message::from_vec(&said).expect("a message").metadata.response_code, said[..2] == bytes[..2]))
    };
    assert_eq!(code(good.clone()).await, Some((ResponseCode::NoError, true)));
    assert_eq!(code(changed(|b| b[2] |= 0x80)).await, None, "an answer");
    assert_eq!(code(changed(|b| b.truncate(11))).await, None, "no head");
    assert_eq!(code(changed(|b| b.truncate(20))).await, Some((ResponseCode::FormErr, true)), "cut off");
    assert_eq!(code(changed(|b| b[5] = 0)).await, Some((ResponseCode::FormErr, true)), "no question");
    assert_eq!(code(changed(|b| b[2] |= 0x28)).await, Some((ResponseCode::NotImp, true)), "an update");
    let class = changed(|b| {
        let last = b.len() - 1;
        b[last] = 3;
    });
    assert_eq!(code(class).await, Some((ResponseCode::Refused, true)), "another class");
}

#[test]
fn what_is_forwarded_is_the_question() {
    let mut message = extended("-odd\\.name._x.example.", "TXT", 1400);
    message.metadata.checking_disabled = true;
    message.edns.as_mut().expect("edns").set_dnssec_ok(true);
    let Read::Question(asked, question) = read(&message.to_vec().expect("a message"), false, CLIENT) else { panic!("a question") };
    assert_eq!(question.name, "-odd\\.name._x.example.");
    let again = Message::from_vec(&asked.forward(&question, 99).expect("written")).expect("a message");
    assert_eq!((again.metadata.id, again.metadata.checking_disabled, again.metadata.recursion_desired), (99, true, true));
    assert_eq!((&again.queries, &again.edns), (&message.queries, &message.edns));
}

#[test]
fn a_code_that_has_no_place_is_a_failure() {
    let Read::Question(asked, _) = read(&question(WEB, "A").to_vec().expect("a message"), false, CLIENT) else { panic!() };
    let said = Message::from_vec(&asked.encode(Said::code(ResponseCode::BADVERS))).expect("a message");
    assert_eq!(said.metadata.response_code, ResponseCode::ServFail);
    assert!(said.answers.iter().all(|record| !matches!(record.data, RData::OPT(_))));
}
