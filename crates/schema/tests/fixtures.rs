//! Upstream's own fixtures (`k8s.io/api`, `testdata/HEAD`: one filled object of every kind) go through
//! every walk. They come from the module cache; `go mod download` in `tests/upstream` puts them there.

use std::path::{Path, PathBuf};
use std::process::Command;

use meta::Gvk;
use schema::Schema;

/// The directory of fixtures.
fn fixtures() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/upstream");
    let output = Command::new("go")
        .args(["mod", "download", "-json", "k8s.io/api"])
        .current_dir(&manifest)
        .output()
        .expect("this test reads upstream's fixtures with `go mod download`: Go must be installed");
    let record: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let dir = record["Dir"].as_str().unwrap_or_else(|| {
        panic!("`go mod download k8s.io/api` in {} failed: {record} {}", manifest.display(), String::from_utf8_lossy(&output.stderr))
    });
    Path::new(dir).join("testdata/HEAD")
}

/// Every fixture with this extension: its schema, name and bytes.
fn each(extension: &str, mut check: impl FnMut(&Schema, &str, Vec<u8>)) {
    let mut count = 0;
    for entry in std::fs::read_dir(fixtures()).expect("fixtures") {
        let path = entry.expect("entry").path();
        if path.extension().is_none_or(|e| e != extension) {
            continue;
        }
        let name = path.file_stem().and_then(|n| n.to_str()).expect("name").to_owned();
        let (group_version, kind) = name.rsplit_once('.').expect("a kind");
        let (group, version) = group_version.rsplit_once('.').expect("a version");
        let gvk = Gvk::new(if group == "core" { "" } else { group }, version, kind);
        let schema = Schema::builtin(&gvk).unwrap_or_else(|| panic!("no schema for {gvk}"));
        check(&schema, &name, std::fs::read(&path).expect("fixture"));
        count += 1;
    }
    assert!(count > 100, "only {count} fixtures");
}

/// Without space between tokens.
fn compact(json: &[u8]) -> String {
    let mut out = String::new();
    let (mut quoted, mut escaped) = (false, false);
    for c in std::str::from_utf8(json).expect("UTF-8").chars() {
        if quoted || !c.is_ascii_whitespace() {
            out.push(c);
        }
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
    }
    out
}

#[test]
fn json_of_every_kind_is_printed_as_upstream_prints_it() {
    let mut wrong = Vec::new();
    each("json", |schema, name, bytes| {
        let expected = compact(&bytes);
        match schema.decode_json(&bytes) {
            Ok(decoded) => {
                let (encoded, _) = schema.encode(&decoded.object, false);
                if encoded != expected.as_bytes() || !decoded.strict_errors.is_empty() {
                    wrong.push(format!("{name}: {:?}\n{expected}\n{}", decoded.strict_errors, String::from_utf8_lossy(&encoded)));
                }
            }
            Err(e) => wrong.push(format!("{name}: {e}")),
        }
    });
    assert!(wrong.is_empty(), "{} kinds differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn yaml_of_every_kind_says_the_same_as_json() {
    let dir = fixtures();
    each("yaml", |schema, name, bytes| {
        let from_yaml = schema.decode_yaml(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        let json = std::fs::read(dir.join(format!("{name}.json"))).expect("its JSON");
        let from_json = schema.decode_json(&json).expect("decodes");
        assert_eq!(from_yaml.object, from_json.object, "{name}");
        assert!(from_yaml.strict_errors.is_empty(), "{name}");
    });
}

#[test]
fn protobuf_of_every_kind_is_upstreams_and_comes_back() {
    let dir = fixtures();
    let mut wrong = Vec::new();
    each("pb", |schema, name, bytes| {
        let json = std::fs::read(dir.join(format!("{name}.json"))).expect("its JSON");
        let from_json = schema.decode_json(&json).expect("decodes").object;
        match schema.decode_proto(&bytes) {
            Ok(decoded) if decoded.object == from_json => {}
            Ok(decoded) => wrong.push(format!("{name} is read as {:?}\nnot {from_json:?}", decoded.object)),
            Err(e) => wrong.push(format!("{name}: {e}")),
        }
        let encoded = schema.encode_proto(&from_json).expect("a protobuf form");
        let back = schema.decode_proto(&encoded).map(|d| schema.encode(&d.object, false).0);
        if back.as_deref() != Ok(compact(&json).as_bytes()) {
            wrong.push(format!("{name} does not come back: {back:?}"));
        }
        if encoded != bytes {
            wrong.push(format!("{name}: {} bytes instead of {}", encoded.len(), bytes.len()));
        }
    });
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Damaged documents are refused or read, but never break the process.
#[test]
fn damaged_documents_do_no_harm() {
    let mut state = 1u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for extension in ["json", "pb"] {
        each(extension, |schema, _, bytes| {
            for _ in 0..4 {
                let mut damaged = bytes.clone();
                for _ in 0..=random(3) {
                    let at = random(damaged.len());
                    damaged[at] = random(256) as u8;
                }
                damaged.truncate(bytes.len() - random(2) * random(bytes.len()));
                let decoded = if extension == "pb" { schema.decode_proto(&damaged) } else { schema.decode_json(&damaged) };
                if let Ok(decoded) = decoded {
                    let (json, _) = schema.encode(&decoded.object, false);
                    assert!(serde_json::from_slice::<serde_json::Value>(&json).is_ok());
                    schema.encode_proto(&decoded.object);
                }
            }
        });
    }
}
