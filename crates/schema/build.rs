//! Takes what fields mean, in upstream's words, out of the source of `k8s-openapi`, which is made from upstream's
//! published specification, and packs it for the binary (read by `src/openapi/descriptions.rs`).
//!
//! A line `T` and a name begins a type. The lines after it are a field (empty: the type itself), then `=` and a text,
//! or `@` and the number of a text that was said before: the versions of a type say the same. Line breaks and
//! backslashes in a text have a backslash before them.
//!
//! And gives what is published a stamp: clients keep documents for as long as their hash is the same.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::DeflateEncoder;

/// The version of Kubernetes that is read.
const VERSION: &str = "v1_36";
/// What there must be at least: if there is less, the source has another form than is expected here.
const TYPES: usize = 600;
const TEXTS: usize = 3000;

/// What makes the documents what they are.
const PUBLISHING: [&str; 3] = ["src/openapi", "src/kubernetes.table", "src/model.rs"];

/// Texts by type and field.
type Types = BTreeMap<String, Vec<(String, String)>>;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=../../Cargo.lock");
    PUBLISHING.iter().for_each(|path| println!("cargo:rerun-if-changed={path}"));
    let mut types = Types::new();
    read(&source().join("src").join(VERSION), &mut types);
    let texts: usize = types.values().map(Vec::len).sum();
    assert!(types.len() >= TYPES && texts >= TEXTS, "only {} types with {texts} texts in the source of k8s-openapi", types.len());
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(table(&types).as_bytes()).expect("a Vec takes every write");
    let packed = encoder.finish().expect("a Vec takes every write");
    let out = std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    let mut hasher = DefaultHasher::new();
    packed.hash(&mut hasher);
    PUBLISHING.iter().for_each(|path| stamp(Path::new(path), &mut hasher));
    println!("cargo:rustc-env=PUBLISHED={:016x}", hasher.finish());
    std::fs::write(Path::new(&out).join("descriptions.deflate"), packed).expect("write the table");
}

/// Takes a file into the stamp, or all of a directory.
fn stamp(path: &Path, hasher: &mut DefaultHasher) {
    if !path.is_dir() {
        return std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).hash(hasher);
    }
    let entries = std::fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut inner: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry of a directory").path()).collect();
    inner.sort();
    inner.iter().for_each(|path| stamp(path, hasher));
}

/// Where cargo has the source of the crate. A package that depends on nothing else is asked about: what this machine
/// does not compile (other systems' crates, other members' tests) was not downloaded, and the network may be away.
fn source() -> PathBuf {
    let lock = std::fs::read_to_string("../../Cargo.lock").expect("the workspace has a Cargo.lock");
    let version = lock.split("name = \"k8s-openapi\"\nversion = \"").nth(1).and_then(|rest| rest.split('"').next());
    let version = version.expect("Cargo.lock names k8s-openapi");
    let asker = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("asker");
    std::fs::create_dir_all(asker.join("src")).expect("make a directory in OUT_DIR");
    let manifest = format!(
        "[package]\nname = \"asker\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n\
         k8s-openapi = {{ version = \"={version}\", default-features = false, features = [\"{VERSION}\"] }}\n"
    );
    for (file, text) in [("Cargo.toml", &*manifest), ("Cargo.lock", &lock), ("src/lib.rs", "")] {
        std::fs::write(asker.join(file), text).expect("write into OUT_DIR");
    }
    let cargo = std::env::var_os("CARGO").expect("cargo sets CARGO");
    let target = std::env::var("TARGET").expect("cargo sets TARGET");
    let arguments = ["metadata", "--format-version", "1", "--filter-platform", &target, "--manifest-path"];
    // It runs here: where cargo's configuration puts the sources elsewhere, that holds for this, too.
    let ask = |more: &[&str]| {
        let mut command = Command::new(&cargo);
        command.args(arguments).arg(asker.join("Cargo.toml")).args(more).output().expect("start cargo")
    };
    let mut output = ask(&["--offline"]);
    if !output.status.success() {
        // It was not needed yet: this member alone is built.
        output = ask(&[]);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let manifests = text.split("\"manifest_path\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    let of_crate = |manifest: &&str| {
        let directory = manifest.rsplit('/').nth(1).unwrap_or_default();
        directory == "k8s-openapi" || directory == format!("k8s-openapi-{version}")
    };
    let manifest = manifests.clone().find(of_crate);
    let manifest = manifest.unwrap_or_else(|| panic!("cargo metadata names no k8s-openapi: {}", String::from_utf8_lossy(&output.stderr)));
    Path::new(manifest).parent().expect("a file is in a directory").to_owned()
}

fn read(directory: &Path, types: &mut Types) {
    let entries = std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    for entry in entries {
        let path = entry.expect("an entry of a directory").path();
        if path.is_dir() {
            read(&path, types);
        } else if let Some((name, texts)) = described(&std::fs::read_to_string(&path).expect("source is text")) {
            types.insert(name, texts);
        }
    }
}

/// The type that a file is about, and what it says: the file has a JSON schema of the type, with a line for each text.
fn described(source: &str) -> Option<(String, Vec<(String, String)>)> {
    let (mut name, mut field, mut texts) = (None, String::new(), Vec::new());
    for line in source.lines() {
        let trimmed = line.trim_start();
        let depth = line.len() - trimmed.len();
        let between = |start: &str, end: &str| trimmed.strip_prefix(start)?.strip_suffix(end);
        match depth {
            8 => name = name.or(between("\"", "\".into()").filter(|name| name.starts_with("io.k8s.")).map(str::to_owned)),
            16 => field = between("\"", "\": {").or_else(|| between("\"", "\": ({")).map_or(field, str::to_owned),
            12 | 20 => {
                let inserted = || between("schema_obj.ensure_object().insert(\"description\".into(), \"", "\".into());");
                if let Some(text) = between("\"description\": \"", "\",").or_else(inserted) {
                    texts.push((if depth == 12 { String::new() } else { field.clone() }, unquoted(text)));
                }
            }
            _ => {}
        }
    }
    Some((name?, texts))
}

/// The text of a literal of Rust.
fn unquoted(literal: &str) -> String {
    let mut text = String::new();
    let mut left = literal.chars();
    while let Some(c) = left.next() {
        match if c == '\\' { left.next() } else { text.push(c); continue } {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('u') => {
                let digits: String = left.by_ref().skip(1).take_while(|c| *c != '}').collect();
                text.push(u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).expect("a character"));
            }
            Some(other @ ('"' | '\\' | '\'')) => text.push(other),
            other => panic!("a literal with \\{other:?}"),
        }
    }
    text
}

fn table(types: &Types) -> String {
    let (mut out, mut said) = (String::new(), HashMap::new());
    for (name, texts) in types {
        out.push_str(&format!("T{name}\n"));
        for (field, text) in texts {
            match said.get(text) {
                Some(number) => out.push_str(&format!("{field}@{number}\n")),
                None => {
                    said.insert(text, said.len());
                    out.push_str(&format!("{field}={}\n", text.replace('\\', "\\\\").replace('\n', "\\n")));
                }
            }
        }
    }
    out
}
