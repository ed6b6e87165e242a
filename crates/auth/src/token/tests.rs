//! Tokens: issued, verified, refused.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use meta::{Key, Object, Status};
use serde_json::json;

use jsonwebtoken::{Algorithm, DecodingKey};

use super::*;
use crate::authn::x509::Certificates;
use crate::{Authentication, Credentials, Lookup};

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// One key for all tests: finding one takes a while.
fn tokens() -> Arc<Tokens> {
    static TOKENS: OnceLock<Arc<Tokens>> = OnceLock::new();
    TOKENS.get_or_init(|| Arc::new(Tokens::new(ISSUER, &key()).expect("a key"))).clone()
}

fn key() -> String {
    let pair = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048);
    pair.expect("a key").serialize_pem()
}

#[derive(Default)]
struct Objects(std::sync::Mutex<HashMap<(String, Key), Object>>);

impl Objects {
    fn put(&self, resource: &str, value: Value) {
        let object = Object::from_value(value).expect("an object");
        self.0.lock().expect("lock").insert((resource.to_owned(), object.key()), object);
    }
}

#[async_trait]
impl Lookup for Objects {
    async fn get(&self, _group: &str, resource: &str, key: &Key) -> Result<Option<Arc<Object>>, Status> {
        Ok(self.0.lock().expect("lock").get(&(resource.to_owned(), key.clone())).cloned().map(Arc::new))
    }

    async fn list(&self, _group: &str, _resource: &str, _namespace: Option<&str>) -> Result<Vec<Arc<Object>>, Status> {
        Ok(Vec::new())
    }
}

fn sample() -> Arc<Objects> {
    let objects = Objects::default();
    objects.put("serviceaccounts", json!({"metadata": {"namespace": "ns", "name": "robot", "uid": "u1"}}));
    objects.put("nodes", json!({"metadata": {"name": "n1", "uid": "u3"}}));
    objects.put(
        "pods",
        json!({"metadata": {"namespace": "ns", "name": "p", "uid": "u2"},
               "spec": {"serviceAccountName": "robot", "nodeName": "n1"}}),
    );
    Arc::new(objects)
}

fn now() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().expect("a time")
}

fn seconds(n: i64) -> SignedDuration {
    SignedDuration::from_secs(n)
}

async fn request(objects: &Objects, spec: Value) -> Result<Object, Status> {
    let request =
        Object::from_value(json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}));
    let account = Key::new("ns", "robot");
    let issuance = tokens().prepare(request.expect("an object"), &account, objects, now()).await?;
    tokens().issue(issuance)
}

fn authentication(objects: Arc<Objects>) -> Authentication {
    let certificate = rcgen::generate_simple_self_signed(vec!["ca".to_owned()]).expect("a certificate");
    let certificates = Certificates::new(&[certificate.cert.der().clone()]).expect("a verifier");
    Authentication::new(certificates, tokens(), objects)
}

#[tokio::test]
async fn a_pod_s_token_becomes_its_user() {
    let objects = sample();
    let bound = json!({"expirationSeconds": 600, "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u2"}});
    let issued = request(&objects, bound).await.expect("issued");
    assert_eq!(issued.str_at("status.expirationTimestamp"), "2026-11-22T10:10:00Z");
    assert_eq!(issued.list_at("spec.audiences"), [json!(ISSUER)]);
    assert_eq!(issued.uid(), "u1");
    let header = format!("Bearer {}", issued.str_at("status.token"));
    let credentials = Credentials { authorization: Some(&header), ..Credentials::default() };
    let user = authentication(objects.clone()).authenticate(&credentials, now()).await.expect("known");
    assert_eq!((user.name.as_str(), user.uid.as_str()), ("system:serviceaccount:ns:robot", "u1"));
    assert_eq!(user.groups, ["system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"]);
    let extra = |key: &str| user.extra.get(&format!("authentication.kubernetes.io/{key}")).map(|v| v[0].as_str());
    assert_eq!(extra("pod-name"), Some("p"));
    assert_eq!(extra("node-uid"), Some("u3"));
    assert!(extra("credential-id").is_some_and(|id| id.starts_with("JTI=")));
}

#[tokio::test]
async fn tokens_end_with_time_and_with_their_objects() {
    let bound = json!({"expirationSeconds": 600, "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "p"}});
    let issued = request(&sample(), bound).await.expect("issued");
    let token = issued.str_at("status.token");
    let verdict = async |objects: Arc<Objects>, at: Timestamp, audiences: &[String]| {
        authentication(objects).review(token, audiences, at).await.map(|_| ()).map_err(|e| e.0)
    };
    assert_eq!(verdict(sample(), now() + seconds(650), &[]).await, Ok(()), "the leeway is a minute");
    assert_eq!(verdict(sample(), now() + seconds(661), &[]).await, Err("service account token has expired".to_owned()));
    assert_eq!(
        verdict(sample(), now() - seconds(61), &[]).await,
        Err("service account token is not valid yet".to_owned())
    );
    let other = ["vault".to_owned()];
    assert!(verdict(sample(), now(), &other).await.is_err_and(|e| e.contains("is invalid for the target audiences")));
    let objects = sample();
    objects.put("pods", json!({"metadata": {"namespace": "ns", "name": "p", "uid": "new"}}));
    assert!(verdict(objects, now(), &[]).await.is_err_and(|e| e.contains("pod UID (new) does not match")));
    assert_eq!(verdict(Arc::default(), now(), &[]).await, Err("service account no longer exists".to_owned()));
}

#[tokio::test]
async fn forged_and_foreign_tokens_are_refused() {
    let objects = sample();
    let authentication = authentication(objects.clone());
    let stranger = Tokens::new(ISSUER, &key()).expect("a key");
    let claims = Claims { exp: now().as_second() + 600, sub: "x".into(), ..Claims::default() };
    let forged = stranger.sign(&claims).expect("signed");
    let good = tokens().sign(&claims).expect("signed");
    let (head, _) = good.rsplit_once('.').expect("three parts");
    let unsigned =
        format!("{}.{}.", BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), good.split('.').nth(1).expect("payload"));
    for token in [forged.as_str(), &format!("{head}.AAAA"), &unsigned, "opaque", ""] {
        assert!(authentication.review(token, &[], now()).await.is_err(), "{token}");
    }
    let header = "Bearer opaque";
    let credentials = Credentials { authorization: Some(header), ..Credentials::default() };
    assert!(authentication.authenticate(&credentials, now()).await.is_err());
    let nobody = authentication.authenticate(&Credentials::default(), now()).await.expect("anonymous");
    assert_eq!(
        (nobody.name.as_str(), nobody.groups.as_slice()),
        ("system:anonymous", &["system:unauthenticated".to_owned()][..])
    );
}

#[tokio::test]
async fn bad_requests_get_upstream_s_messages() {
    let objects = sample();
    let pod = |name: &str, uid: &str| json!({"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid}});
    objects.put(
        "pods",
        json!({"metadata": {"namespace": "ns", "name": "q", "uid": "u4"}, "spec": {"serviceAccountName": "other"}}),
    );
    let table = [
        (
            json!({"expirationSeconds": 599}),
            r#"TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes"#,
        ),
        (pod("x", ""), r#"pods "x" not found"#),
        (
            pod("q", ""),
            r#"cannot bind token for serviceaccount "robot" to pod running with different serviceaccount name."#,
        ),
        (
            pod("p", "old"),
            r#"Operation cannot be fulfilled on Pod "p": the UID in the bound object reference (old) does not match the UID in record. The object might have been deleted and then recreated"#,
        ),
        (
            json!({"boundObjectRef": {"apiVersion": "v1", "kind": "Service", "name": "x"}}),
            "cannot bind token to object of type /v1, Kind=Service",
        ),
    ];
    for (spec, message) in table {
        assert_eq!(request(&objects, spec).await.expect_err("refused").message, message);
    }
}

#[test]
fn a_key_in_the_making_is_waited_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let pki = Arc::new(Pki::open(directory.path(), now()).expect("opens"));
    let tokens = Tokens::deferred(ISSUER, pki);
    let token = tokens.sign(&Claims::default()).expect("signed");
    assert_eq!(tokens.verify(&token).map(|claims| claims.iss), Ok(ISSUER.to_owned()));
}

#[test]
fn the_published_key_verifies() {
    let keys = tokens().keys();
    let key = &keys["keys"][0];
    let token = tokens().sign(&Claims { exp: 1, ..Claims::default() }).expect("signed");
    let header = jsonwebtoken::decode_header(&token).expect("a header");
    assert_eq!(header.kid.as_deref(), key["kid"].as_str());
    assert_eq!(header.typ, None);
    let published = DecodingKey::from_rsa_components(key["n"].as_str().expect("n"), key["e"].as_str().expect("e"));
    let mut validation = Validation::new(Algorithm::RS256);
    validation.validate_exp = false;
    assert!(jsonwebtoken::decode::<Claims>(&token, &published.expect("a key"), &validation).is_ok());
    assert_eq!(tokens().discovery("a:6443")["jwks_uri"], "https://a:6443/openid/v1/jwks");
}

/// What envtest passes: a key of the curve P-256 in PKCS #8, and a certificate of it to verify with.
#[test]
fn keys_of_curves_sign_and_are_found_in_certificates() {
    for (algorithm, name) in [(&rcgen::PKCS_ECDSA_P256_SHA256, "ES256"), (&rcgen::PKCS_ECDSA_P384_SHA384, "ES384")] {
        let pair = rcgen::KeyPair::generate_for(algorithm).expect("a key");
        let certificate = rcgen::CertificateParams::default().self_signed(&pair).expect("a certificate").pem();
        let older = key();
        let files = [certificate, older.clone()];
        let tokens = Tokens::from_files("https://a/", &pair.serialize_pem(), &files).expect("keys");
        let tokens = tokens.accepting(["https://b/".to_owned()]);
        let token = tokens.sign(&Claims::default()).expect("signed");
        assert_eq!(tokens.verify(&token).map(|claims| claims.iss), Ok("https://a/".to_owned()));
        let published = tokens.keys();
        assert_eq!((&published["keys"][0]["alg"], &published["keys"][1]["alg"]), (&json!(name), &json!("RS256")));
        assert_eq!(tokens.discovery("a")["id_token_signing_alg_values_supported"], json!([name, "RS256"]));
        // Of an earlier issuer and an earlier key.
        let earlier = Tokens::new("https://b/", &older).expect("a key").sign(&Claims::default()).expect("signed");
        assert_eq!(tokens.verify(&earlier).map(|claims| claims.iss), Ok("https://b/".to_owned()));
        let stranger = Tokens::new("https://a/", &key()).expect("a key").sign(&Claims::default()).expect("signed");
        assert!(matches!(tokens.verify(&stranger), Err(Foreign::Forged(_))));
    }
    assert!(Tokens::from_files("https://a/", &key(), &["nothing".to_owned()]).is_err());
}

/// A file's tokens go before those of service accounts, and who shows nothing is refused where nobody is to be nobody.
#[tokio::test]
async fn a_file_has_tokens_too() {
    let fixed = crate::authn::StaticTokens::read("f", "t1,ann,1\n").expect("reads");
    let authentication = authentication(Arc::new(Objects::default())).with_static_tokens(fixed).without_anonymous();
    let ask = |header: Option<&'static str>| Credentials { authorization: header, ..Credentials::default() };
    let ann = authentication.authenticate(&ask(Some("Bearer t1")), now()).await.expect("known");
    assert_eq!((ann.name.as_str(), ann.groups.as_slice()), ("ann", &["system:authenticated".to_owned()][..]));
    assert!(authentication.authenticate(&ask(Some("Bearer t2")), now()).await.is_err());
    assert!(authentication.authenticate(&ask(None), now()).await.is_err());
    let (user, audiences) = authentication.review("t1", &[], now()).await.expect("reviewed");
    assert_eq!((user.name.as_str(), audiences), ("ann", vec![ISSUER.to_owned()]));
    assert!(authentication.review("t1", &["others".to_owned()], now()).await.is_err());
}
