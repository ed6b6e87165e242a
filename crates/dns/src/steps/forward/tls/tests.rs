//! A name server that speaks TLS: who it must be, and who we are.

use hickory_proto::op::Message;
use rcgen::generate_simple_self_signed;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream as Served;

use super::*;
use crate::kit::{Cluster, record};

/// The name that the server proves.
const NAME: &str = "dns.test";

/// A name server, and the keys of a ConfigMap that are good for it.
struct Upstream {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    files: Files,
}

impl Upstream {
    /// Clients must show their certificate, too, if it is `mutual`.
    async fn new(mutual: bool) -> Self {
        let made = |name: &str| generate_simple_self_signed(vec![name.to_owned()]).expect("a certificate");
        let (server, client) = (made(NAME), made("client"));
        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("versions");
        let mut clients = RootCertStore::empty();
        clients.add(client.cert.der().clone()).expect("a root");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(clients), provider).build().expect("a verifier");
        let builder = if mutual { builder.with_client_cert_verifier(verifier) } else { builder.with_no_client_auth() };
        let key = PrivateKeyDer::from_pem_slice(server.signing_key.serialize_pem().as_bytes()).expect("a key");
        let config = builder.with_single_cert(vec![server.cert.der().clone()], key).expect("a server");
        let files = [("ca.crt", server.cert.pem()), ("tls.crt", client.cert.pem()), ("tls.key", client.signing_key.serialize_pem())];
        Upstream {
            listener: TcpListener::bind("127.0.0.1:0").await.expect("a socket"),
            acceptor: TlsAcceptor::from(Arc::new(config)),
            files: files.map(|(name, text)| (name.to_owned(), text)).into(),
        }
    }

    fn cluster(&self, name: &str, options: &str) -> Cluster {
        let to = format!("tls://{}", self.listener.local_addr().expect("its address"));
        let corefile = format!(". {{\n forward . {to}{name} {{\n{options}\n }}\n}}\n");
        Cluster::with(&corefile, &self.files)
    }

    async fn accept(&self) -> std::io::Result<Served<TcpStream>> {
        let (stream, _) = self.listener.accept().await?;
        self.acceptor.accept(stream).await
    }
}

/// Answers one question.
async fn answer(stream: &mut Served<TcpStream>) -> Message {
    let mut bytes = vec![0; usize::from(stream.read_u16().await.expect("a length"))];
    stream.read_exact(&mut bytes).await.expect("a question");
    let question = Message::from_vec(&bytes).expect("a message");
    let mut message = Message::response(question.metadata.id, question.metadata.op_code);
    message.queries.clone_from(&question.queries);
    message.answers.push(record(&format!("{} 20 A 192.0.2.1", crate::names::text(question.queries[0].name()))));
    let bytes = message.to_vec().expect("a message");
    let length = u16::try_from(bytes.len()).expect("a length");
    stream.write_all(&[&length.to_be_bytes(), bytes.as_slice()].concat()).await.expect("an answer");
    question
}

#[tokio::test]
async fn who_proves_its_name_is_asked_and_its_connection_is_kept() {
    let options = format!("tls /etc/coredns/ca.crt\ntls_servername {NAME}");
    let upstream = Upstream::new(false).await;
    let cluster = upstream.cluster("", &options);
    let serve = async {
        let mut stream = upstream.accept().await.expect("a client");
        (answer(&mut stream).await, answer(&mut stream).await)
    };
    let ask = async { (cluster.ask("a.example.", "A").await, cluster.ask("b.example.", "A").await) };
    let (said, _) = tokio::join!(ask, serve);
    assert_eq!(said, ("NOERROR | a.example. 20 A 192.0.2.1".to_owned(), "NOERROR | b.example. 20 A 192.0.2.1".to_owned()));
}

#[tokio::test]
async fn who_proves_another_name_is_not_asked() {
    let upstream = Upstream::new(false).await;
    // Without a name it must prove its address.
    for (name, options) in [("%other.test", "tls /etc/coredns/ca.crt"), ("", "tls /etc/coredns/ca.crt"), ("%dns.test", "")] {
        let cluster = upstream.cluster(name, &format!("{options}\nmax_fails 0"));
        let serve = async {
            loop {
                assert!(upstream.accept().await.is_err(), "{name}: the client goes on");
            }
        };
        let said = tokio::select! {
            said = cluster.ask("a.example.", "A") => said,
            () = serve => unreachable!("it serves for ever"),
        };
        assert_eq!(said, "SERVFAIL", "{name} {options}");
    }
}

#[tokio::test]
async fn clients_show_who_they_are() {
    let upstream = Upstream::new(true).await;
    let options = "tls /etc/coredns/tls.crt /etc/coredns/tls.key /etc/coredns/ca.crt\nsource_address 127.0.0.2";
    let cluster = upstream.cluster("%dns.test", options);
    let serve = async {
        let mut stream = upstream.accept().await.expect("a client");
        let from = stream.get_ref().0.peer_addr().expect("its address");
        answer(&mut stream).await;
        (stream.get_ref().1.peer_certificates().map(<[_]>::len), from.ip().to_string())
    };
    let (said, shown) = tokio::join!(cluster.ask("a.example.", "A"), serve);
    assert_eq!((said.as_str(), shown), ("NOERROR | a.example. 20 A 192.0.2.1", (Some(1), "127.0.0.2".to_owned())));
}

#[tokio::test]
async fn whether_it_is_well_is_asked_over_tls() {
    let upstream = Upstream::new(false).await;
    let options = format!("tls /etc/coredns/ca.crt\ntls_servername {NAME}\nmax_fails 1\nhealth_check 100ms\nmax_connect_attempts 1");
    let cluster = upstream.cluster("", &options);
    // It hangs up: the question fails, and it is asked for the root's servers until it answers.
    let hang_up = async { drop(upstream.accept().await) };
    let (said, ()) = tokio::join!(cluster.ask("a.example.", "A"), hang_up);
    assert_eq!(said, "SERVFAIL");
    let check = answer(&mut upstream.accept().await.expect("a check")).await;
    assert_eq!((check.queries[0].name().is_root(), check.queries[0].query_type()), (true, hickory_proto::rr::RecordType::NS));
}

#[test]
fn what_is_no_certificate_is_refused() {
    let files = Files::from([("a".to_owned(), "no certificate".to_owned())]);
    let word = |text: &str| Word { text: text.to_owned(), line: 3, row: 3, end: 3, quoted: false };
    let refused = |args: &[&str]| {
        let args: Vec<Word> = args.iter().map(|arg| word(arg)).collect();
        config(&files, &word("tls"), &args).err().map(|fault| fault.why)
    };
    assert_eq!(refused(&["/etc/coredns/a"]).as_deref(), Some("could not read root certs: /etc/coredns/a"));
    let pair = refused(&["/etc/coredns/a", "/etc/coredns/a"]).expect("refused");
    assert!(pair.starts_with("could not load TLS cert: "), "{pair}");
    assert_eq!(refused(&[]), None);
}
