//! `VOLUME`: places of an image that each of its containers has a writable copy of.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits;

/// Paths in the image, as it writes them: the keys of a map whose values say nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Volumes(pub BTreeSet<String>);

impl Serialize for Volumes {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Nothing {}
        output.collect_map(self.0.iter().map(|path| (path, Nothing {})))
    }
}

impl<'de> Deserialize<'de> for Volumes {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Few;
        impl<'de> Visitor<'de> for Few {
            type Value = Volumes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a map of at most {} volumes", limits::VOLUMES)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut input: A) -> Result<Volumes, A::Error> {
                let mut paths = BTreeSet::new();
                while let Some((path, IgnoredAny)) = input.next_entry::<String, IgnoredAny>()? {
                    paths.insert(path);
                    if paths.len() > limits::VOLUMES {
                        return Err(A::Error::custom(format_args!("more than {} volumes", limits::VOLUMES)));
                    }
                }
                Ok(Volumes(paths))
            }
        }
        input.deserialize_map(Few)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::ImageConfig;

    #[test]
    fn paths_are_the_keys_of_a_map_and_have_an_end() {
        let of = |text: &str| serde_json::from_str::<ImageConfig>(text).map(|config| config.volumes);
        let two = of(r#"{"Volumes": {"/b": {}, "/a": null, "/b": {"x": [1]}}}"#).unwrap();
        assert_eq!(two.0.iter().map(String::as_str).collect::<Vec<_>>(), ["/a", "/b"]);
        assert_eq!(serde_json::to_string(&two).unwrap(), r#"{"/a":{},"/b":{}}"#, "as the store keeps it");
        for nothing in [r#"{"Volumes": null}"#, r#"{"Volumes": {}}"#, "{}"] {
            assert_eq!(of(nothing).unwrap(), Volumes::default());
        }
        let many = |count: usize| {
            let paths: Vec<String> = (0..count).map(|number| format!(r#""/{number}": {{}}"#)).collect();
            of(&format!(r#"{{"Volumes": {{{}}}}}"#, paths.join(","))).map(|volumes| volumes.0.len()).map_err(|e| e.to_string())
        };
        assert_eq!(many(limits::VOLUMES), Ok(limits::VOLUMES));
        assert!(many(limits::VOLUMES + 1).unwrap_err().starts_with("more than 128 volumes"));
    }
}
