//! What a token says.

use serde::{Deserialize, Deserializer, Serialize};

/// The claims of a service-account token. Times are seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// For whom it is.
    #[serde(default, deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub aud: Vec<String>,
    /// When it ends.
    #[serde(default)]
    pub exp: i64,
    /// When it was issued.
    #[serde(default)]
    pub iat: i64,
    /// Who issued it.
    #[serde(default)]
    pub iss: String,
    /// Its own id.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub jti: String,
    /// The objects it is bound to.
    #[serde(rename = "kubernetes.io", default)]
    pub kubernetes: Bound,
    /// From when on it is valid.
    #[serde(default)]
    pub nbf: i64,
    /// The user name.
    #[serde(default)]
    pub sub: String,
}

/// The objects that a token stands and falls with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// Namespace of all of them but the node.
    #[serde(default)]
    pub namespace: String,
    /// The node of the pod, or the node it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Reference>,
    /// The pod it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Reference>,
    /// The secret it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Reference>,
    /// Whose token it is.
    #[serde(default)]
    pub serviceaccount: Reference,
    /// After this time the holder should have asked for a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warnafter: Option<i64>,
}

/// Name and uid of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// `metadata.name`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// `metadata.uid`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
}

impl Reference {
    /// Refers to an object.
    pub fn to(object: &meta::Object) -> Self {
        Reference { name: object.name().to_owned(), uid: object.uid().to_owned() }
    }
}

/// JWT allows an audience without its list.
fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Form::deserialize(from)? {
        Form::One(one) => vec![one],
        Form::Many(many) => many,
    })
}
