//! Objects of another kind than the expected one.

use meta::Gvk;

use crate::Schema;

/// Why upstream's decoder cannot take an object of one kind for one of another: nobody knows it, or nothing turns
/// one into the other. `None` if it can. `api_version` is as the document has it.
pub fn foreign(expected: &Gvk, api_version: &str, kind: &str) -> Option<String> {
    let actual = Gvk::from_api_version(api_version, kind);
    if actual == *expected {
        return None;
    }
    if Schema::builtin(&actual).is_none() {
        let scheme = "pkg/api/legacyscheme/scheme.go:30";
        return Some(format!("no kind {kind:?} is registered for version {api_version:?} in scheme {scheme:?}"));
    }
    if kind == &*expected.kind {
        return None;
    }
    let package = if expected.group.is_empty() { "core" } else { expected.group.split('.').next().unwrap_or_default() };
    Some(format!("converting ({}.{kind}) to ({package}.{}): unknown conversion", actual.version, expected.kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_taken_for_a_config_map() {
        let why = |version, kind| foreign(&Gvk::new("", "v1", "ConfigMap"), version, kind);
        let unknown = r#"no kind "Nothing" is registered for version "v1" in scheme "pkg/api/legacyscheme/scheme.go:30""#;
        assert_eq!(why("v1", "Nothing").as_deref(), Some(unknown));
        assert_eq!(why("v1", "Secret").as_deref(), Some("converting (v1.Secret) to (core.ConfigMap): unknown conversion"));
        assert_eq!(why("v1", "ConfigMap"), None);
    }
}
