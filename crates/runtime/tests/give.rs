//! Images that are named, looked at, cleared away, and given to others. Needs root: layers have owners.

mod common;

use common::kit::{Image, Layer, Packed, docker_archive, layout};
use common::archive::{save, store};
use runtime::Error;

fn image(name: &str) -> Image {
    let base = Layer::new().dir("etc", 0o755).file("etc/long", 0o640, &[b'x'; 70_000]).owned(7, 8).link("l", "etc/long").hard("h", "etc/long");
    let top = Layer::new().gone("l").file(&format!("deep/{}", "d".repeat(150)), 0o4755, b"content").fifo("pipe", 0o600).opaque("etc");
    Image::new(name).layer(&base).layer(&top).entrypoint(&["/run"])
}

#[test]
fn what_is_saved_is_what_was_imported() {
    let (from, dir) = store();
    let (one, two) = (image("example.com/one:v1"), image("two:v2").user("9").packed(Packed::Zstd));
    from.import(&save(dir.path(), "one.tar", &docker_archive(&[&one]))).unwrap();
    let two_dir = dir.path().join("two");
    layout(&[&two]).write(&two_dir);
    from.import(&two_dir).unwrap();
    let file = dir.path().join("out.tar");
    let saved = from.save(&["example.com/one:v1".to_owned(), two.id()], &file).unwrap();
    assert_eq!(saved.iter().map(|image| image.id.clone()).collect::<Vec<_>>(), [one.id(), two.id()]);
    // As Docker reads it, and as a layout.
    for without in ["index.json", "manifest.json"] {
        let (to, other) = store();
        let copy = other.path().join("copy.tar");
        let mut builder = tar::Builder::new(std::fs::File::create(&copy).unwrap());
        let mut archive = tar::Archive::new(std::fs::File::open(&file).unwrap());
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            if entry.path().unwrap().to_str() != Some(without) {
                builder.append(&entry.header().clone(), entry).unwrap();
            }
        }
        builder.into_inner().unwrap();
        let images = to.import(&copy).unwrap();
        let names: Vec<_> = images.iter().map(|image| (image.id.clone(), image.tags.clone())).collect();
        let expected = [(one.id(), vec!["example.com/one:v1".to_owned()]), (two.id(), vec!["docker.io/library/two:v2".to_owned()])];
        assert_eq!(names, expected, "without {without}");
        let again = other.path().join("again.tar");
        to.save(&["example.com/one:v1".to_owned(), "two:v2".to_owned()], &again).unwrap();
        assert!(std::fs::read(&again).unwrap() == std::fs::read(&file).unwrap(), "the same file");
    }
}

#[test]
fn what_is_half_saved_is_no_file() {
    let (store, dir) = store();
    store.import(&save(dir.path(), "one.tar", &docker_archive(&[&image("one")]))).unwrap();
    let file = dir.path().join("out.tar");
    assert!(matches!(store.save(&["one".to_owned(), "none".to_owned()], &file).unwrap_err(), Error::NotFound(_)));
    let layer = common::archive::layers(dir.path()).into_iter().find(|layer| layer.join("h").is_file()).unwrap();
    std::fs::write(layer.join("etc/long"), vec![b'y'; 70_000]).unwrap();
    let error = store.save(&["one".to_owned()], &file).unwrap_err().to_string();
    assert!(error.contains("layer digest is sha256:"), "{error}");
    let program = std::env::current_exe().unwrap();
    store.import_program("own", &program, "own", &[]).unwrap();
    let error = store.save(&["own".to_owned()], &file).unwrap_err().to_string();
    assert!(error.contains("cannot be given to others: it was made of a program"), "{error}");
    let left = std::fs::read_dir(dir.path()).unwrap().filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with("out"));
    assert_eq!(left.count(), 0);
}

#[test]
fn names_are_given_and_what_is_known_is_shown() {
    let (store, dir) = store();
    let (one, two) = (image("one"), image("two").user("9"));
    store.import(&save(dir.path(), "both.tar", &docker_archive(&[&one, &two]))).unwrap();
    let tagged = store.tag("one", "example.com/also:v1").unwrap();
    assert_eq!(tagged.tags, ["example.com/also:v1", "docker.io/library/one:latest"]);
    assert_eq!(store.tag("two", "one").unwrap().tags, ["docker.io/library/one:latest", "docker.io/library/two:latest"]);
    assert_eq!(store.find("example.com/also:v1").unwrap().unwrap().tags, ["example.com/also:v1"], "a name is one image's");
    assert!(matches!(store.tag("none", "x").unwrap_err(), Error::NotFound(_)));
    assert!(store.tag("one", &format!("x@{}", one.id())).is_err());
    let found = store.inspect(&one.id()).unwrap();
    assert_eq!((found.image.id.clone(), found.layers.len()), (one.id(), 2));
    assert_eq!(found.config["config"]["Entrypoint"][0], "/run");
    assert_eq!(found.config["os"], "linux");
}

#[test]
fn only_what_nothing_uses_is_cleared_away() {
    let (store, dir) = store();
    let other = Image::new("other").layer(&Layer::new().file("other", 0o644, &[1; 5000]));
    store.import(&save(dir.path(), "both.tar", &docker_archive(&[&image("one"), &other]))).unwrap();
    assert!(store.prune(&[], false).unwrap().images.is_empty(), "what came from files stays");
    let used = store.inspect("one").unwrap().layers.pop().unwrap().0;
    let pruned = store.prune(&[used], true).unwrap();
    assert_eq!((pruned.images.len(), pruned.images[0].id.clone()), (1, other.id()));
    assert!(pruned.bytes >= 5000);
    store.remove("one", &[]).unwrap();
    for place in ["layers", "recipes", "configs"] {
        assert_eq!(std::fs::read_dir(dir.path().join("images").join(place)).unwrap().count(), 0, "{place}");
    }
}
