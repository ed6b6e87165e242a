//! Whom is asked, in which order, and what happens when somebody does not answer.

use std::io::Write;

use hickory_proto::op::{Message, ResponseCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use super::*;
use crate::kit::{self, Cluster, Upstream, record};

fn says(last: u8) -> impl FnOnce(&mut Message) {
    move |message: &mut Message| {
        let name = crate::names::text(message.queries[0].name());
        message.answers.push(record(&format!("{name} 20 A 192.0.2.{last}")));
    }
}

/// Answers one question.
async fn once(upstream: &Upstream, answer: impl FnOnce(&mut Message)) -> Message {
    let (question, from) = upstream.next().await;
    upstream.say(&question, from, answer).await;
    question
}

fn corefile(to: &[&Upstream], options: &str) -> String {
    let to: Vec<String> = to.iter().map(|upstream| upstream.address.to_string()).collect();
    format!(". {{\n    forward . {} {{\n{options}\n}}\n}}\n", to.join(" "))
}

#[tokio::test]
async fn the_next_is_asked_when_one_does_not_answer() {
    let (silent, well) = (Upstream::new().await, Upstream::new().await);
    let cluster = Cluster::new(&corefile(&[&silent, &well], "policy sequential\nread_timeout 20ms"));
    let (said, question) = tokio::join!(cluster.ask("a.example.", "A"), once(&well, says(1)));
    assert_eq!(said, "NOERROR | a.example. 20 A 192.0.2.1");
    let (first, _) = silent.next().await;
    assert_eq!(first.queries, question.queries, "it was asked before");
}

#[tokio::test]
async fn who_is_down_is_passed_over_until_it_is_well_again() {
    // Nobody is there: each check fails at once.
    let down = Upstream::new().await;
    let (address, well) = (down.address, Upstream::new().await);
    let text = corefile(&[&down, &well], "policy sequential\nmax_fails 1\nhealth_check 100ms");
    let forwards = {
        drop(down);
        Cluster::new(&text)
    };
    let (said, _) = tokio::join!(forwards.ask("a.example.", "A"), once(&well, says(1)));
    assert_eq!(said, "NOERROR | a.example. 20 A 192.0.2.1");
    // The check asks until there is an answer: then the first is the first again.
    let socket = UdpSocket::bind(address).await.expect("its address");
    let back = Upstream { address, socket };
    let (check, from) = back.next().await;
    assert_eq!((check.queries[0].name().is_root(), check.queries[0].query_type()), (true, hickory_proto::rr::RecordType::NS));
    back.say(&check, from, |message| message.metadata.response_code = ResponseCode::Refused).await;
    let (said, _) = tokio::join!(forwards.ask("b.example.", "A"), once(&back, says(2)));
    assert_eq!(said, "NOERROR | b.example. 20 A 192.0.2.2");
}

#[tokio::test]
async fn policies_choose_the_first() {
    let (one, two) = (Upstream::new().await, Upstream::new().await);
    let cluster = Cluster::new(&corefile(&[&one, &two], "policy round_robin"));
    let mut turns = Vec::new();
    for n in 0..4 {
        let name = format!("{n}.example.");
        let serve = async {
            tokio::select! {
                _ = once(&one, says(1)) => 1,
                _ = once(&two, says(2)) => 2,
            }
        };
        let (said, turn) = tokio::join!(cluster.ask(&name, "A"), serve);
        assert_eq!(said, format!("NOERROR | {name} 20 A 192.0.2.{turn}"));
        turns.push(turn);
    }
    assert!(turns == [1, 2, 1, 2] || turns == [2, 1, 2, 1], "{turns:?}");
}

#[tokio::test]
async fn an_answer_to_another_question_is_passed_over() {
    let upstream = Upstream::new().await;
    let cluster = Cluster::new(&corefile(&[&upstream], ""));
    let serve = async {
        let (question, from) = upstream.next().await;
        let other = kit::question("other.example.", "A");
        let mut same = other.clone();
        same.metadata.id = question.metadata.id;
        upstream.say(&same, from, says(66)).await;
        let mut guessed = question.clone();
        guessed.metadata.id = question.metadata.id.wrapping_add(1);
        upstream.say(&guessed, from, says(66)).await;
        upstream.say(&question, from, says(1)).await;
    };
    let (said, ()) = tokio::join!(cluster.ask("a.example.", "A"), serve);
    assert_eq!(said, "NOERROR | a.example. 20 A 192.0.2.1");
}

#[tokio::test]
async fn codes_lead_to_another_server_or_directive() {
    let (one, two, three) = (Upstream::new().await, Upstream::new().await, Upstream::new().await);
    let refused = |message: &mut Message| message.metadata.response_code = ResponseCode::Refused;
    let cluster = Cluster::new(&corefile(&[&one, &two], "policy sequential\nfailover REFUSED"));
    let (said, _, _) = tokio::join!(cluster.ask("a.example.", "A"), once(&one, refused), once(&two, says(2)));
    assert_eq!(said, "NOERROR | a.example. 20 A 192.0.2.2");

    let text = format!(
        ". {{\n forward . {} {{\n next NXDOMAIN\n next_on_nodata\n except own.example\n }}\n forward . {}\n }}\n",
        one.address, three.address
    );
    let cluster = Cluster::new(&text);
    let none = |message: &mut Message| message.metadata.response_code = ResponseCode::NXDomain;
    let (said, _, _) = tokio::join!(cluster.ask("a.example.", "A"), once(&one, none), once(&three, says(3)));
    assert_eq!(said, "NOERROR | a.example. 20 A 192.0.2.3");
    let (said, _, _) = tokio::join!(cluster.ask("b.example.", "A"), once(&one, |_: &mut Message| ()), once(&three, says(3)));
    assert_eq!(said, "NOERROR | b.example. 20 A 192.0.2.3");
    let (said, _) = tokio::join!(cluster.ask("x.own.example.", "A"), once(&three, says(3)));
    assert_eq!(said, "NOERROR | x.own.example. 20 A 192.0.2.3");
}

#[tokio::test]
async fn connections_are_kept_for_the_next_question() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("its address");
    let cluster = Cluster::new(&format!(". {{\n forward . {address} {{\n force_tcp\n }}\n}}\n"));
    let serve = async {
        // One connection for both questions.
        let (mut stream, _) = listener.accept().await.expect("a connection");
        for last in [1, 2] {
            let length = stream.read_u16().await.expect("a length");
            let mut bytes = vec![0; usize::from(length)];
            stream.read_exact(&mut bytes).await.expect("a question");
            let question = Message::from_vec(&bytes).expect("a message");
            let mut message = Message::response(question.metadata.id, question.metadata.op_code);
            message.queries = question.queries;
            says(last)(&mut message);
            let bytes = message.to_vec().expect("a message");
            let length = u16::try_from(bytes.len()).expect("a length");
            stream.write_all(&[&length.to_be_bytes(), bytes.as_slice()].concat()).await.expect("an answer");
        }
    };
    let ask = async { (cluster.ask("a.example.", "A").await, cluster.ask("b.example.", "A").await) };
    let (said, ()) = tokio::join!(ask, serve);
    assert_eq!(said, ("NOERROR | a.example. 20 A 192.0.2.1".to_owned(), "NOERROR | b.example. 20 A 192.0.2.2".to_owned()));
}

#[tokio::test]
async fn so_many_at_once_and_no_more() {
    let upstream = Upstream::new().await;
    let cluster = Cluster::new(&corefile(&[&upstream], "max_concurrent 1"));
    let mut first = Box::pin(cluster.ask("a.example.", "A"));
    assert!(futures::poll!(&mut first).is_pending());
    assert_eq!(cluster.ask("b.example.", "A").await, "REFUSED");
    assert_eq!(tokio::join!(first, once(&upstream, says(1))).0, "NOERROR | a.example. 20 A 192.0.2.1");
    assert_eq!(tokio::join!(cluster.ask("b.example.", "A"), once(&upstream, says(2))).0, "NOERROR | b.example. 20 A 192.0.2.2");
}

#[test]
fn the_machines_servers_are_read_anew_and_without_ourselves() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    let environment = kit::environment();
    let machine = Machine {
        resolv_conf: file.path().to_owned(),
        port: 53,
        ourselves: vec![kit::own()],
        world: environment.world,
        known: Mutex::default(),
    };
    let named = || machine.servers().iter().map(|server| server.address.to_string()).collect::<Vec<_>>();
    // Our address, and that of the service that stands for us.
    writeln!(file, "# x\nsearch x\nnameserver 192.0.2.2\nnameserver 10.244.0.1\nnameserver 10.96.0.10\nnameserver  ::1").expect("write");
    assert_eq!(named(), ["192.0.2.2:53", "[::1]:53"]);
    writeln!(file, "nameserver 192.0.2.3").expect("write");
    assert_eq!(named().len(), 3);
    assert_eq!(machine.known.lock().expect("no panic").len(), 3);
}
