//! Warnings about files of one volume that get into each other's way.

use crate::view::View;

/// A file, and the source it is from (empty if there is one source only).
#[derive(PartialEq)]
struct File {
    path: String,
    source: String,
}

impl File {
    fn shown(&self) -> String {
        if self.source.is_empty() { format!("{:?}", self.path) } else { format!("{:?} ({})", self.path, self.source) }
    }

    /// Whether one is the other, or is in it.
    fn meets(&self, other: &File) -> bool {
        let inside = |a: &str, b: &str| format!("{a}/").starts_with(&format!("{b}/"));
        !self.path.is_empty() && !other.path.is_empty() && (inside(&self.path, &other.path) || inside(&other.path, &self.path))
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
            let mut known = Vec::new();
            check(name, &what, files(&source, ""), &mut known, warnings);
        }
        let mut known = Vec::new();
        for source in volume.at("projected").each("sources") {
            if source.map().is_empty() {
                warnings.push(format!("volume {name:?} (Projected) has no sources provided"));
            }
            check(name, "Projected", projected(&source), &mut known, warnings);
        }
    }
}

fn check(volume: &str, what: &str, files: Vec<File>, known: &mut Vec<File>, warnings: &mut Vec<String>) {
    for file in files {
        for other in known.iter().filter(|other| file.meets(other)) {
            let pair = format!("{} with {}", file.shown(), other.shown());
            warnings.push(format!("volume {volume:?} ({what}): overlapping paths: {pair}"));
        }
        known.push(file);
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
