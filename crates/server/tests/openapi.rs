//! The published documents, and how clients keep them.

mod kit;

use std::io::Read;

use flate2::read::GzDecoder;
use http::Method;
use kit::{Answer, Kit};

async fn kit() -> (Kit, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("directory");
    (Kit::new(directory.path()).await, directory)
}

async fn get(kit: &Kit, path: &str, headers: &[(&str, &str)]) -> Answer {
    kit.ask(Method::GET, path, headers, "").await
}

#[tokio::test]
async fn v2_is_compressed_and_not_sent_twice() {
    let (kit, _directory) = kit().await;
    let plain = get(&kit, "/openapi/v2", &[]).await;
    assert_eq!((plain.code.as_u16(), plain.header("content-encoding")), (200, ""));
    let tag = plain.header("etag").to_owned();
    assert_eq!((tag.len(), plain.json()["swagger"].as_str()), (130, Some("2.0")));
    let packed = get(&kit, "/openapi/v2", &[("accept-encoding", "deflate, gzip")]).await;
    assert_eq!((packed.header("content-encoding"), packed.header("etag")), ("gzip", &*tag));
    let mut text = Vec::new();
    GzDecoder::new(&*packed.body).read_to_end(&mut text).expect("gzip");
    assert!(text == plain.body && packed.body.len() * 4 < plain.body.len());
    let refused = get(&kit, "/openapi/v2", &[("accept-encoding", "gzip;q=0")]).await;
    assert_eq!(refused.header("content-encoding"), "");
    let same = get(&kit, "/openapi/v2", &[("if-none-match", &tag), ("accept-encoding", "gzip")]).await;
    assert_eq!((same.code.as_u16(), same.body.len(), same.header("etag")), (304, 0, &*tag));
    // The name that kubectl asks by is an older one, which no parser of media types reads.
    for asked in ["application/com.github.proto-openapi.spec.v2@v1.0+protobuf", "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"] {
        let proto = get(&kit, "/openapi/v2", &[("accept", asked)]).await;
        assert_eq!(proto.header("content-type"), "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
        assert_eq!(proto.header("etag"), tag);
    }
    let odd = get(&kit, "/openapi/v2", &[("accept", "text/html")]).await;
    assert_eq!((odd.code.as_u16(), odd.body.len()), (406, 0));
}

#[tokio::test]
async fn v3_documents_are_kept_by_their_hash() {
    let (kit, _directory) = kit().await;
    let index = get(&kit, "/openapi/v3", &[]).await.json();
    let url = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().expect("listed").to_owned();
    let (path, hash) = url.split_once("?hash=").expect("with its hash");
    let document = get(&kit, &url, &[]).await;
    assert_eq!((document.code.as_u16(), document.header("cache-control")), (200, "public, immutable"));
    assert!(document.header("expires").ends_with(" UTC"), "{}", document.header("expires"));
    assert_eq!(document.header("vary"), "Accept");
    let tag = format!("\"{hash}\"");
    assert_eq!(document.header("etag"), tag);
    let same = get(&kit, path, &[("if-none-match", &tag)]).await;
    assert_eq!((same.code.as_u16(), same.body.len(), same.header("cache-control")), (304, 0, "no-cache, private"));
    let old = get(&kit, &format!("{path}?hash=OLD"), &[]).await;
    assert_eq!((old.code.as_u16(), old.header("location")), (301, &*url));
    assert_eq!(get(&kit, path, &[("accept", "text/html")]).await.code.as_u16(), 406);
    assert_eq!(get(&kit, "/openapi/v3/apis/nothing/v1", &[]).await.code.as_u16(), 404);
}

#[tokio::test]
async fn the_version_is_for_people_too() {
    let (kit, _directory) = kit().await;
    let version = get(&kit, "/version", &[]).await;
    assert!(version.text().starts_with("{\n  \"major\": \"1\",\n  \"minor\": \"36\",\n"), "{}", version.text());
    assert!(version.text().ends_with("\"\n}"), "{}", version.text());
}
