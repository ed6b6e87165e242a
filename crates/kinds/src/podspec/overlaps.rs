//! Warnings about files of one volume that get into each other's way.

use std::collections::HashMap;

use super::warnings::MOST;
use crate::view::View;

/// The longest path that is compared, in bytes (Linux: `PATH_MAX`): a longer one is no file's.
const LONGEST: usize = 4096;

/// A file, and the source it is from (empty if there is one source only).
struct File {
    path: String,
    source: String,
}

impl File {
    fn shown(&self) -> String {
        if self.source.is_empty() { format!("{:?}", self.path) } else { format!("{:?} ({})", self.path, self.source) }
    }
}

/// Files by the parts of their paths: those that are another one, or are in it, are found on its way.
#[derive(Default)]
struct Known {
    files: Vec<File>,
    /// The first one is the root.
    places: Vec<Place>,
}

#[derive(Default)]
struct Place {
    /// Files at this place, and at or below it.
    here: Vec<usize>,
    below: Vec<usize>,
    parts: HashMap<String, usize>,
}

impl Known {
    /// Adds a file; those before it that are the same, or are in it, or have it in them, in their order.
    fn add(&mut self, file: File) -> Vec<usize> {
        let number = self.files.len();
        if self.places.is_empty() {
            self.places.push(Place::default());
        }
        let mut met = Vec::new();
        if !file.path.is_empty() && file.path.len() <= LONGEST {
            let mut at = 0;
            for part in file.path.split('/') {
                met.extend_from_slice(&self.places[at].here);
                self.places[at].below.push(number);
                let next = self.places.len();
                at = *self.places[at].parts.entry(part.to_owned()).or_insert(next);
                if at == next {
                    self.places.push(Place::default());
                }
            }
            met.extend_from_slice(&self.places[at].below);
            self.places[at].here.push(number);
            self.places[at].below.push(number);
            met.sort_unstable();
        }
        self.files.push(file);
        met
    }
}

/// All warnings about the volumes of a pod.
pub(super) fn of(spec: &View<'_>, warnings: &mut Vec<String>) {
    for volume in spec.each("volumes") {
        let name = volume.text("name");
        for (sort, title, key) in
            [("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName"), ("downwardAPI", "", "")]
        {
            let Some(source) = volume.get(sort) else { continue };
            let what = if title.is_empty() { "DownwardAPI".to_owned() } else { format!("{title} {:?}", source.text(key)) };
            let mut known = Known::default();
            check(name, &what, files(&source, ""), &mut known, warnings);
        }
        let mut known = Known::default();
        for source in volume.at("projected").each("sources") {
            if source.map().is_empty() {
                warnings.push(format!("volume {name:?} (Projected) has no sources provided"));
            }
            check(name, "Projected", projected(&source), &mut known, warnings);
        }
    }
}

fn check(volume: &str, what: &str, files: Vec<File>, known: &mut Known, warnings: &mut Vec<String>) {
    for file in files {
        if warnings.len() >= MOST {
            return;
        }
        let shown = file.shown();
        for other in known.add(file) {
            let pair = format!("{shown} with {}", known.files[other].shown());
            warnings.push(format!("volume {volume:?} ({what}): overlapping paths: {pair}"));
        }
    }
}

fn file(path: &str, source: &str) -> File {
    File { path: path.trim_end_matches('/').to_owned(), source: source.to_owned() }
}

fn files(source: &View<'_>, shown: &str) -> Vec<File> {
    source.each("items").map(|item| file(item.text("path"), shown)).collect()
}

fn projected(source: &View<'_>) -> Vec<File> {
    for (sort, title) in [("configMap", "ConfigMap"), ("secret", "Secret")] {
        if let Some(part) = source.get(sort).filter(|p| p.has("items")) {
            return files(&part, &format!("{title} {:?}", part.text("name")));
        }
    }
    if let Some(part) = source.get("downwardAPI").filter(|p| p.has("items")) {
        return files(&part, "DownwardAPI");
    }
    if let Some(part) = source.get("serviceAccountToken") {
        return vec![file(part.text("path"), "ServiceAccountToken")];
    }
    if let Some(part) = source.get("clusterTrustBundle") {
        let name = part.get("name").or_else(|| part.get("signerName")).map_or("", |n| n.str());
        return vec![file(part.text("path"), &format!("ClusterTrustBundle {name:?}"))];
    }
    let part = source.at("podCertificate");
    let paths = [("certificateChainPath", "chain"), ("keyPath", "key"), ("credentialBundlePath", "credential bundle")];
    let given = paths.into_iter().filter(|(field, _)| !part.text(field).is_empty());
    given.map(|(field, what)| file(part.text(field), &format!("PodCertificate {what}"))).collect()
}
