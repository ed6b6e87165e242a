//! What is kept, for how long, and that the same is asked once.

use std::time::Duration;

use tokio::time::{advance, pause};

use crate::kit::{self, Cluster, Upstream, record};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RData;

fn soa(message: &mut Message) {
    message.authorities.push(record("example. 25 SOA ns.example. admin.example. 1 7200 1800 86400 15"));
}

/// A cluster, and the name server that it asks.
async fn cluster(cache: &str) -> (Cluster, Upstream) {
    let upstream = Upstream::new().await;
    let corefile = format!(". {{\n    {cache}\n    kubernetes cluster.local {{\n    }}\n    forward . {}\n}}\n", upstream.address);
    (Cluster::new(&corefile), upstream)
}

/// Asks, and answers for the name server.
async fn asked(cluster: &Cluster, upstream: &Upstream, name: &str, answer: impl FnOnce(&mut Message)) -> String {
    let serve = async {
        let (question, from) = upstream.next().await;
        upstream.say(&question, from, answer).await;
    };
    tokio::join!(cluster.ask(name, "A"), serve).0
}

#[tokio::test]
async fn the_time_is_counted_down_and_then_it_is_asked_again() {
    let (cluster, upstream) = cluster("cache 30").await;
    let two = |message: &mut Message| {
        message.answers = vec![record("a.example. 100 CNAME b.example."), record("b.example. 20 A 192.0.2.1")];
    };
    let line = |ttl: u32| format!("NOERROR | a.example. {ttl} CNAME b.example.; b.example. {ttl} A 192.0.2.1");
    assert_eq!(asked(&cluster, &upstream, "a.example.", two).await, line(20));
    pause();
    for (after, left) in [(0, 20), (7, 13), (12, 1)] {
        advance(Duration::from_secs(after)).await;
        assert_eq!(cluster.ask("A.Example.", "A").await, line(left).replace("a.example. ", "A.Example. "), "kept");
    }
    advance(Duration::from_secs(1)).await;
    tokio::time::resume();
    assert_eq!(asked(&cluster, &upstream, "a.example.", two).await, line(20), "asked again");
}

#[tokio::test]
async fn denials_and_failures_are_kept_for_their_time() {
    let (cluster, upstream) = cluster("cache {\n        denial 100 20 10\n        servfail 7s\n    }").await;
    let denial = "NXDOMAIN |  | example. 20 SOA ns.example. admin.example. 15";
    let none = |message: &mut Message| {
        message.metadata.response_code = ResponseCode::NXDomain;
        soa(message);
    };
    assert_eq!(asked(&cluster, &upstream, "none.example.", none).await, denial);
    assert_eq!(asked(&cluster, &upstream, "empty.example.", soa).await, denial.replace("NXDOMAIN", "NOERROR"));
    let failed = |message: &mut Message| message.metadata.response_code = ResponseCode::ServFail;
    assert_eq!(asked(&cluster, &upstream, "failed.example.", failed).await, "SERVFAIL");
    pause();
    advance(Duration::from_secs(6)).await;
    assert_eq!(cluster.ask("none.example.", "A").await, denial.replace("20", "14"));
    assert_eq!(cluster.ask("empty.example.", "A").await, denial.replace("NXDOMAIN", "NOERROR").replace("20", "14"));
    assert_eq!(cluster.ask("failed.example.", "A").await, "SERVFAIL");
    tokio::time::resume();
}

#[tokio::test]
async fn what_says_too_little_is_asked_again() {
    let (cluster, upstream) = cluster("cache 30").await;
    for _ in 0..2 {
        let cut = |message: &mut Message| message.metadata.truncation = true;
        assert_eq!(asked(&cluster, &upstream, "cut.example.", cut).await, "NOERROR tc");
        let half = |message: &mut Message| message.answers.push(record("half.example. 20 CNAME b.example."));
        assert_eq!(asked(&cluster, &upstream, "half.example.", half).await, "NOERROR | half.example. 20 CNAME b.example.");
        let none = |message: &mut Message| message.metadata.response_code = ResponseCode::NXDomain;
        assert_eq!(asked(&cluster, &upstream, "no-soa.example.", none).await, "NXDOMAIN");
        let refused = |message: &mut Message| message.metadata.response_code = ResponseCode::Refused;
        assert_eq!(asked(&cluster, &upstream, "refused.example.", refused).await, "REFUSED");
    }
}

#[tokio::test]
async fn many_who_ask_the_same_ask_once() {
    let (cluster, upstream) = cluster("cache 30").await;
    let serve = async {
        let (question, from) = upstream.next().await;
        upstream.say(&question, from, |m| m.answers.push(record("same.example. 20 A 192.0.2.1"))).await;
    };
    let all = futures::future::join_all((0..20).map(|_| cluster.ask("same.example.", "A")));
    let (all, ()) = tokio::join!(all, serve);
    assert!(all.iter().all(|said| said == "NOERROR | same.example. 20 A 192.0.2.1"), "{all:?}");
    let nothing = upstream.socket.try_recv(&mut [0; 512]);
    assert!(nothing.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "it was asked once");
}

#[tokio::test]
async fn whoever_asked_first_may_go() {
    let (cluster, upstream) = cluster("cache 30").await;
    let message = kit::question("gone.example.", "A").to_vec().expect("a message");
    let mut first = Box::pin(cluster.send(&message, false));
    let abandoned = tokio::select! {
        _ = &mut first => panic!("nobody answers"),
        (question, _) = upstream.next() => question,
    };
    let mut second = Box::pin(cluster.ask("gone.example.", "A"));
    assert!(futures::poll!(&mut second).is_pending());
    assert_eq!(abandoned.queries.len(), 1);
    drop(first);
    let serve = async {
        let (question, from) = upstream.next().await;
        upstream.say(&question, from, |m| m.answers.push(record("gone.example. 20 A 192.0.2.1"))).await;
    };
    assert_eq!(tokio::join!(second, serve).0, "NOERROR | gone.example. 20 A 192.0.2.1");
}

#[tokio::test]
async fn signatures_are_for_those_who_want_them() {
    let (cluster, upstream) = cluster("cache 30").await;
    for dnssec_ok in [false, true, false, true] {
        let mut question = kit::extended("signed.example.", "A", 1232);
        question.edns.as_mut().expect("edns").set_dnssec_ok(dnssec_ok);
        let answer = if dnssec_ok { "192.0.2.2" } else { "192.0.2.1" };
        let serve = async {
            let (question, from) = upstream.next().await;
            assert_eq!(question.edns.as_ref().map(|e| e.flags().dnssec_ok), Some(dnssec_ok));
            upstream.say(&question, from, |m| m.answers.push(record(&format!("signed.example. 20 A {answer}")))).await;
            futures::future::pending::<()>().await;
        };
        let said = tokio::select! {
            said = cluster.message(&question) => said,
            () = serve => unreachable!("it waits for ever"),
        };
        assert!(matches!(&said.answers[0].data, RData::A(a) if a.0.to_string() == answer));
    }
}

#[tokio::test]
async fn the_cluster_is_never_kept() {
    let environment = kit::environment();
    let cluster = Cluster::within(&environment, ". {\n    cache 3600\n    kubernetes cluster.local {\n        ttl 3600\n    }\n}\n");
    let services = kit::informer::<k8s_openapi::api::core::v1::Service>(&serde_json::json!([]));
    let service = |address: &str| {
        let tree = serde_json::json!({"metadata": {"namespace": "d", "name": "new"}, "spec": {"clusterIP": address}});
        serde_json::from_value(tree).expect("a service")
    };
    environment.world.follow_services(&services);
    let absent = cluster.ask("new.d.svc.cluster.local.", "A").await;
    assert!(absent.starts_with("NXDOMAIN"), "{absent}");
    for address in ["10.96.0.50", "10.96.0.51"] {
        services.apply(service(address));
        let said = cluster.ask("new.d.svc.cluster.local.", "A").await;
        assert_eq!(said, format!("NOERROR aa | new.d.svc.cluster.local. 3600 A {address}"));
    }
}

fn one(last: u8) -> impl FnOnce(&mut Message) {
    move |message: &mut Message| message.answers.push(record(&format!("a.example. 20 A 192.0.2.{last}")))
}

fn line(ttl: u32, last: u8) -> String {
    format!("NOERROR | a.example. {ttl} A 192.0.2.{last}")
}

/// The clock goes on, and then stands at nothing that waits.
async fn later(seconds: u64) {
    pause();
    advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

/// Waits until what is renewed aside is there.
async fn renewed(cluster: &Cluster, wanted: &str) {
    let there = async {
        while cluster.ask("a.example.", "A").await != wanted {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), there).await.expect("renewed");
}

#[tokio::test]
async fn an_answer_that_is_over_is_said_while_it_is_renewed() {
    let (cluster, upstream) = cluster("cache 30 {\n        serve_stale 1m\n    }").await;
    assert_eq!(asked(&cluster, &upstream, "a.example.", one(1)).await, line(20, 1));
    later(21).await;
    for _ in 0..3 {
        assert_eq!(cluster.ask("a.example.", "A").await, line(0, 1), "at once");
    }
    let (question, from) = upstream.next().await;
    let nothing = upstream.socket.try_recv(&mut [0; 512]);
    assert!(nothing.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "it is renewed once");
    upstream.say(&question, from, one(2)).await;
    renewed(&cluster, &line(20, 2)).await;
    later(20 + 60).await;
    assert_eq!(asked(&cluster, &upstream, "a.example.", one(3)).await, line(20, 3), "over for too long");
}

#[tokio::test]
async fn an_answer_that_is_over_is_said_when_there_is_no_other() {
    let (cluster, upstream) = cluster("cache 30 {\n        serve_stale 1h verify\n    }").await;
    assert_eq!(asked(&cluster, &upstream, "a.example.", one(1)).await, line(20, 1));
    later(21).await;
    let failed = |message: &mut Message| message.metadata.response_code = ResponseCode::ServFail;
    assert_eq!(asked(&cluster, &upstream, "a.example.", failed).await, line(0, 1));
    assert_eq!(asked(&cluster, &upstream, "a.example.", one(2)).await, line(20, 2));
}

#[tokio::test]
async fn what_is_often_asked_for_is_renewed_before_it_is_over() {
    let (cluster, upstream) = cluster("cache 30 {\n        prefetch 2 1m 50%\n    }").await;
    assert_eq!(asked(&cluster, &upstream, "a.example.", one(1)).await, line(20, 1));
    assert_eq!(cluster.ask("a.example.", "A").await, line(20, 1));
    later(11).await;
    assert_eq!(cluster.ask("a.example.", "A").await, line(9, 1));
    let (question, from) = upstream.next().await;
    upstream.say(&question, from, one(2)).await;
    renewed(&cluster, &line(20, 2)).await;
}
