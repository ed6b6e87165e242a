//! `ironclad image inspect`.

use anyhow::Result;
use clap::ArgMatches;
use runtime::{Config, Inspected, Store};
use serde_json::{Value, json};

use super::{Verb, name, named};
use crate::out;

pub(super) const VERB: Verb = Verb { definition, run };

fn definition() -> clap::Command {
    clap::Command::new("inspect").about("Show all that is known of an image, as JSON").arg(name("Name or id"))
}

fn run(store: &Store, _: &Config, arguments: &ArgMatches) -> Result<()> {
    out::line(format_args!("{:#}", document(&store.inspect(named(arguments))?)));
    Ok(())
}

/// In the words of `docker image inspect`, as far as there is something to say.
fn document(found: &Inspected) -> Value {
    let (image, config) = (&found.image, &found.config);
    let mut shown = json!({
        "Id": image.id,
        "RepoTags": image.tags,
        "RepoDigests": image.digests,
        "Size": image.size,
        "Pinned": image.pinned,
        "Config": config["config"],
        "Layers": found.layers.iter().map(|(name, size)| json!({"Directory": name, "Size": size})).collect::<Vec<_>>(),
    });
    for (key, from) in [
        ("Created", "created"), ("Author", "author"), ("Architecture", "architecture"), ("Variant", "variant"), ("Os", "os"),
        ("History", "history"),
    ] {
        if let Some(value) = config.get(from) {
            shown[key] = value.clone();
        }
    }
    if let Some(ids) = config["rootfs"].get("diff_ids") {
        shown["RootFS"] = json!({"Type": "layers", "Layers": ids});
    }
    json!([shown])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_dockers() {
        let config = json!({"os": "linux", "created": "now", "config": {"User": "7"}, "rootfs": {"diff_ids": ["sha256:2"]}});
        let image = runtime::Image { id: "sha256:1".into(), size: 9, ..runtime::Image::default() };
        let found = document(&Inspected { image, config, layers: vec![("aa".into(), 9)] });
        assert_eq!(found, json!([{"Id": "sha256:1", "RepoTags": [], "RepoDigests": [], "Size": 9, "Pinned": false,
            "Config": {"User": "7"}, "Layers": [{"Directory": "aa", "Size": 9}], "Created": "now", "Os": "linux",
            "RootFS": {"Type": "layers", "Layers": ["sha256:2"]}}]));
    }
}
