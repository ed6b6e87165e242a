//! `ironclad image ls`.

use anyhow::Result;
use clap::{Arg, ArgMatches};
use runtime::{Config, Image, Store};
use serde_json::{Value, json};

use super::Verb;
use crate::out;

pub(super) const VERB: Verb = Verb { definition, run };

fn definition() -> clap::Command {
    let output = Arg::new("output").short('o').long("output").value_name("FORMAT").value_parser(["json", "table"]);
    let output = output.default_value("table").help("How: a table, or JSON as `crictl images -o json` has it");
    clap::Command::new("ls").about("List images").arg(output)
}

fn run(store: &Store, _: &Config, arguments: &ArgMatches) -> Result<()> {
    let images = store.list()?;
    match arguments.get_one::<String>("output").map(String::as_str) {
        Some("json") => out::line(format_args!("{:#}", document(&images))),
        _ => table(&images),
    }
    Ok(())
}

/// In the words of the CRI.
fn document(images: &[Image]) -> Value {
    let one = |image: &Image| {
        json!({
            "id": image.id,
            "repoTags": image.tags,
            "repoDigests": image.digests,
            "size": image.size.to_string(),
            "uid": image.uid.map(|uid| json!({"value": uid.to_string()})),
            "username": image.username,
            "pinned": image.pinned,
        })
    };
    json!({"images": images.iter().map(one).collect::<Vec<_>>()})
}

fn table(images: &[Image]) {
    out::line(format_args!("{:<60} {:<14} {:>10}", "IMAGE", "ID", "SIZE"));
    for image in images {
        let id: String = image.id.trim_start_matches("sha256:").chars().take(12).collect();
        let names = if image.tags.is_empty() { vec!["<none>".to_owned()] } else { image.tags.clone() };
        for name in names {
            out::line(format_args!("{name:<60} {id:<14} {:>7.1} MB", image.size as f64 / 1e6));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_the_cris() {
        let image = Image { id: "sha256:1".into(), tags: vec!["a:1".into()], size: 7, uid: Some(0), ..Image::default() };
        let found = document(&[image]);
        assert_eq!(found, json!({"images": [{"id": "sha256:1", "repoTags": ["a:1"], "repoDigests": [], "size": "7",
            "uid": {"value": "0"}, "username": "", "pinned": false}]}));
    }
}
