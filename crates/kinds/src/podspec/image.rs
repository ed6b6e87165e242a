//! Names of images, as far as defaults need them.

/// The tag of an image name: `latest` if it has neither tag nor digest, empty if it has a digest alone or is
/// no image name (upstream: `pkg/util/parsers.ParseImageName`).
pub fn tag(image: &str) -> &str {
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"._-/:@[]".contains(&b);
    if image.is_empty() || !image.bytes().all(is_name) {
        return "";
    }
    if !has_valid_path(image) || is_identifier(image) {
        return "";
    }
    let (name, digest) = image.split_once('@').map_or((image, None), |(n, d)| (n, Some(d)));
    let last = name.rsplit('/').next().unwrap_or(name);
    match (last.split_once(':'), digest) {
        (Some((_, tag)), _) => tag,
        (None, Some(_)) => "",
        (None, None) => "latest",
    }
}

/// Most characters of what follows the registry's host, up to the tag.
const LONGEST_PATH: usize = 255;

/// Whether what follows the registry's host, up to the tag, is in lower case and not too long.
fn has_valid_path(image: &str) -> bool {
    let is_host = |first: &&str| first.contains(['.', ':']) || *first == "localhost" || first.bytes().any(|b| b.is_ascii_uppercase());
    // A single word stands below `library/` at the host of those that name none.
    let (path, ahead) = match image.split_once('/') {
        Some((first, _)) if first.split('.').any(str::is_empty) => return false,
        Some((first, rest)) if is_host(&first) => (rest, 0),
        Some(_) => (image, 0),
        None => (image, "library/".len()),
    };
    let path = path.split(['@', ':']).next().unwrap_or_default();
    path.len() + ahead <= LONGEST_PATH && path.split('/').all(is_component)
}

/// Whether it looks like the identifier of an image, which is not taken for a name.
fn is_identifier(image: &str) -> bool {
    image.len() == 64 && image.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Whether words of small letters and digits stand in it, with a dot, one or two underscores, or hyphens between.
fn is_component(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let between = text.trim_matches(is_word).split(is_word).filter(|between| !between.is_empty());
    let mut between = between.map(|one| matches!(one, "." | "_" | "__") || one.bytes().all(|b| b == b'-'));
    text.starts_with(is_word) && text.ends_with(is_word) && between.all(|fits| fits)
}

/// When to pull, if the container does not say.
pub fn pull_policy(image: &str) -> &'static str {
    if tag(image) == "latest" { "Always" } else { "IfNotPresent" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_latest_is_pulled_always() {
        for (image, want) in [
            ("nginx", "Always"),
            ("nginx:latest", "Always"),
            ("nginx:1.27", "IfNotPresent"),
            ("localhost:5000/a", "Always"),
            ("localhost:5000/a:1", "IfNotPresent"),
            ("a@sha256:00", "IfNotPresent"),
            ("TCP", "IfNotPresent"),
            ("HOST/a", "Always"),
            ("../x", "IfNotPresent"),
            ("a..b", "IfNotPresent"),
            ("-a", "IfNotPresent"),
            ("h.io/a__b/c--d.e", "Always"),
            ("", "IfNotPresent"),
            (" a", "IfNotPresent"),
        ] {
            assert_eq!(pull_policy(image), want, "{image}");
        }
        let long = |length| "a".repeat(length);
        assert_eq!([247, 248].map(|n| pull_policy(&long(n))), ["Always", "IfNotPresent"]);
        assert_eq!([63, 64, 65].map(|n| pull_policy(&long(n))), ["Always", "IfNotPresent", "Always"]);
        assert_eq!([255, 256].map(|n| pull_policy(&format!("h.io/{}", long(n)))), ["Always", "IfNotPresent"]);
    }
}
