//! Conversion by a webhook, as far as it is pure: what is asked, and whether the answer is one (upstream:
//! `apiextensions-apiserver/pkg/apiserver/conversion/webhook_converter.go`). Who asks stands in the registry.

use meta::field::{Errors, Path};
use meta::names::split_api_version;
use meta::{Gvk, Object};
use serde_json::{Map, Value, json};

use crate::kinds::customresourcedefinition::REVIEWS;
use crate::validate::metadata::{annotations, labels};
use crate::view::View;
use crate::webhook::Client;

const GROUP: &str = "apiextensions.k8s.io";

/// How objects of one definition get from one version to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// Who converts.
    pub client: Client,
    /// The version of reviews that both speak; `None`: there is none.
    review: Option<String>,
}

impl Conversion {
    /// What a definition says; `None`: only the names of versions differ.
    pub fn of(definition: &Object) -> Option<Conversion> {
        let conversion = View::new(definition.at("spec.conversion"), Path::new("spec").child("conversion"));
        if conversion.text("strategy") != "Webhook" {
            return None;
        }
        let webhook = conversion.at("webhook");
        let client = Client::read(&webhook.at("clientConfig"))?;
        let versions = webhook.at("conversionReviewVersions");
        let review = versions.strings().find(|version| REVIEWS.contains(version)).map(str::to_owned);
        Some(Conversion { client, review })
    }

    /// What is sent. `uid` is this review's own.
    pub fn request(&self, objects: &[Object], to: &Gvk, uid: &str) -> Result<Value, String> {
        let review = self.review.as_ref().ok_or("no supported conversion review versions")?;
        let objects: Vec<&Map<String, Value>> = objects.iter().map(Object::fields).collect();
        Ok(json!({
            "kind": "ConversionReview",
            "apiVersion": format!("{GROUP}/{review}"),
            "request": {"uid": uid, "desiredAPIVersion": to.api_version(), "objects": objects},
        }))
    }

    /// The objects that came back, each with the metadata that it had, but for labels and annotations.
    pub fn answer(&self, asked: &[Object], to: &Gvk, uid: &str, review: Value) -> Result<Vec<Object>, String> {
        let of = asked.first().map(Object::gvk).unwrap_or_else(|| to.clone());
        let converted = self.converted(uid, review).map_err(|why| failed(&of, &why))?;
        let of = shown(&of);
        if converted.len() != asked.len() {
            return Err(format!("conversion webhook for {of} returned {} objects, expected {}", converted.len(), asked.len()));
        }
        let pairs = asked.iter().zip(converted).enumerate();
        pairs.map(|(at, (before, after))| one(before, after, to).map_err(|wrong| wrong.told(&of, at, asked.len() > 1))).collect()
    }

    fn converted(&self, uid: &str, review: Value) -> Result<Vec<Value>, String> {
        let text = |path: &str| review.pointer(path).and_then(Value::as_str).unwrap_or_default();
        // The older form of the review is not held to this.
        let is_strict = self.review.as_deref() == Some("v1");
        let (api_version, kind) = (text("/apiVersion"), text("/kind"));
        let ours = format!("{GROUP}/{}", self.review.as_deref().unwrap_or_default());
        if is_strict && (api_version, kind) != (&*ours, "ConversionReview") {
            let wanted = Gvk::from_api_version(&ours, "ConversionReview");
            let got = Gvk::from_api_version(api_version, kind);
            return Err(format!("expected webhook response of {}, got {}", shown(&wanted), shown(&got)));
        }
        if !review.get("response").is_some_and(Value::is_object) {
            return Err("no response provided".to_owned());
        }
        if is_strict && text("/response/uid") != uid {
            return Err(format!("expected response.uid={uid:?}, got {:?}", text("/response/uid")));
        }
        let (status, message) = (text("/response/result/status"), text("/response/result/message"));
        match status {
            "Success" => {}
            _ if !message.is_empty() => return Err(message.to_owned()),
            _ => return Err(format!("response.result.status was '{status}', not 'Success'")),
        }
        let mut review = review;
        let list = review.pointer_mut("/response/convertedObjects").map(Value::take);
        match list {
            Some(Value::Array(list)) => Ok(list),
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(_) => Err("response.convertedObjects is no list".to_owned()),
        }
    }
}

/// Why objects of a kind could not be converted at all.
pub fn failed(of: &Gvk, why: &str) -> String {
    format!("conversion webhook for {} failed: {why}", shown(of))
}

/// A kind as upstream prints it.
fn shown(gvk: &Gvk) -> String {
    let Gvk { group, version, kind } = gvk;
    format!("{group}/{version}, Kind={kind}")
}

/// What is wrong with an object that came back.
enum Wrong {
    /// It is of another kind or version.
    Kind(String),
    /// It is another object, or none.
    Object(String),
    /// Its metadata is no good.
    Metadata(String),
}

impl Wrong {
    fn told(self, of: &str, at: usize, in_list: bool) -> String {
        let place = if in_list { format!(" at index {at}") } else { String::new() };
        match self {
            Wrong::Kind(why) if in_list => format!("conversion webhook for {of} returned invalid converted object{place}: {why}"),
            Wrong::Kind(why) => format!("conversion webhook for {of} returned invalid object at index 0: {why}"),
            Wrong::Object(why) if in_list => format!("conversion webhook for {of} returned invalid converted object{place}: {why}"),
            Wrong::Object(why) => format!("conversion webhook for {of} returned invalid object: {why}"),
            Wrong::Metadata(why) if in_list => format!("conversion webhook for {of} returned invalid metadata in object{place}: {why}"),
            Wrong::Metadata(why) => format!("conversion webhook for {of} returned invalid metadata: {why}"),
        }
    }
}

fn one(before: &Object, after: Value, to: &Gvk) -> Result<Object, Wrong> {
    let mut after = Object::from_value(after).map_err(|other| Wrong::Object(format!("it is no object: {}", go_type(&other))))?;
    let version = |api_version: &str| {
        let (group, version) = split_api_version(api_version);
        format!("{group}/{version}")
    };
    let (expected, received) = (version(&to.api_version()), version(after.api_version()));
    if expected != received {
        return Err(Wrong::Kind(format!("invalid groupVersion (expected {expected}, received {received})")));
    }
    if before.kind() != after.kind() {
        return Err(Wrong::Kind(format!("invalid kind (expected {}, received {})", before.kind(), after.kind())));
    }
    let same = [
        ("name", before.name(), after.name()),
        ("namespace", before.namespace(), after.namespace()),
        ("UID", before.uid(), after.uid()),
    ];
    for (what, was, is) in same {
        if was != is {
            return Err(Wrong::Object(format!("must have the same {what}: {was} != {is}")));
        }
    }
    let kept = metadata(before, &after).map_err(Wrong::Metadata)?;
    after.fields_mut().insert("metadata".to_owned(), kept.into());
    Ok(after)
}

/// The metadata that the object had, with the labels and annotations that it has now.
fn metadata(before: &Object, after: &Object) -> Result<Map<String, Value>, String> {
    let now = match after.fields().get("metadata") {
        None => return Err("missing metadata in converted object".to_owned()),
        Some(Value::Object(map)) => map,
        Some(other) => return Err(format!("invalid metadata of type {} in converted object", go_type(other))),
    };
    let mut kept = before.fields().get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
    for field in ["labels", "annotations"] {
        let map = match now.get(field) {
            None | Some(Value::Null) => {
                kept.remove(field);
                continue;
            }
            Some(Value::Object(map)) => map,
            Some(other) => return Err(format!("invalid metadata.{field} of type {} in converted object", go_type(other))),
        };
        if let Some((key, other)) = map.iter().find(|(_, value)| !value.is_string()) {
            return Err(format!("metadata.{field}[{key}] must be a string, but is {} in converted object", go_type(other)));
        }
        let new = Value::Object(map.clone());
        if kept.get(field) != Some(&new) {
            refuse(match field {
                "labels" => labels(Some(&new), &Path::new("metadata").child("labels")),
                _ => annotations(Some(&new), &Path::new("metadata").child("annotation")),
            })?;
        }
        kept.insert(field.to_owned(), new);
    }
    Ok(kept)
}

fn refuse(errors: Errors) -> Result<(), String> {
    let told: Vec<String> = errors.iter().map(|error| format!("{}: {}", error.path, error.body())).collect();
    match &told[..] {
        [] => Ok(()),
        [one] => Err(one.clone()),
        many => Err(format!("[{}]", many.join(", "))),
    }
}

/// What Go calls the type of a value.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversion(version: &str) -> Conversion {
        let definition = json!({"spec": {"conversion": {"strategy": "Webhook", "webhook": {
            "clientConfig": {"url": "https://localhost/convert"}, "conversionReviewVersions": ["v7", version]}}}});
        Conversion::of(&Object::from_value(definition).expect("an object")).expect("a webhook")
    }

    fn widget(name: &str) -> Object {
        let metadata = json!({"name": name, "namespace": "n", "uid": "u", "resourceVersion": "7", "labels": {"a": "b"}});
        Object::from_value(json!({"apiVersion": "x.io/v1", "kind": "W", "metadata": metadata, "spec": {"x": 1}})).expect("an object")
    }

    fn review(objects: Value) -> Value {
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview",
            "response": {"uid": "r", "result": {"status": "Success"}, "convertedObjects": objects}})
    }

    /// What is said of an answer to a review of two objects.
    fn said(change: impl Fn(&mut Value)) -> Result<Vec<Object>, String> {
        let asked = [widget("a"), widget("b")];
        let converted = asked.iter().map(|object| {
            let mut object = object.clone();
            object.set("apiVersion", "x.io/v2");
            object.into_value()
        });
        let mut answer = review(converted.collect());
        change(&mut answer);
        conversion("v1").answer(&asked, &Gvk::new("x.io", "v2", "W"), "r", answer)
    }

    #[test]
    fn reviews_are_asked_in_a_version_that_both_speak() {
        let to = Gvk::new("x.io", "v2", "W");
        let asked = conversion("v1beta1").request(&[widget("a")], &to, "r").expect("asked");
        assert_eq!(asked["apiVersion"], "apiextensions.k8s.io/v1beta1");
        assert_eq!((&asked["request"]["uid"], &asked["request"]["desiredAPIVersion"]), (&json!("r"), &json!("x.io/v2")));
        assert_eq!(asked["request"]["objects"][0]["metadata"]["name"], "a");
        let none = conversion("v8").request(&[widget("a")], &to, "r");
        assert_eq!(none.expect_err("no version"), "no supported conversion review versions");
    }

    #[test]
    fn metadata_stays_but_for_labels_and_annotations() {
        let converted = said(|review| {
            let metadata = json!({"name": "a", "namespace": "n", "uid": "u", "annotations": {"c": "d"}, "finalizers": ["x.io/y"], "resourceVersion": "9"});
            review["response"]["convertedObjects"][0]["metadata"] = metadata;
        });
        let converted = converted.expect("is good");
        let wanted = json!({"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "7", "annotations": {"c": "d"}});
        assert_eq!(converted[0].at("metadata"), Some(&wanted));
        assert_eq!(converted[1].at("metadata.labels"), Some(&json!({"a": "b"})));
    }

    #[test]
    fn answers_that_are_none_are_refused() {
        let object = |at: usize, field: &'static str, value: Value| {
            said(move |review| {
                let pointer = format!("/response/convertedObjects/{at}{field}");
                *review.pointer_mut(&pointer).expect("is there") = value.clone();
            })
        };
        let response = |field: &'static str, value: Value| said(move |review| review["response"][field] = value.clone());
        let of = "conversion webhook for x.io/v1, Kind=W";
        for (answer, wanted) in [
            (response("uid", json!("s")), r#"failed: expected response.uid="r", got "s""#),
            (response("result", json!({"status": "Failure", "message": "no!"})), "failed: no!"),
            (response("result", json!({})), "failed: response.result.status was '', not 'Success'"),
            (response("convertedObjects", json!([])), "returned 0 objects, expected 2"),
            (said(|review| review["response"] = Value::Null), "failed: no response provided"),
            (said(|review| review["kind"] = json!("X")),
                "failed: expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got apiextensions.k8s.io/v1, Kind=X"),
            (object(1, "/apiVersion", json!("x.io/v3")),
                "returned invalid converted object at index 1: invalid groupVersion (expected x.io/v2, received x.io/v3)"),
            (object(1, "/kind", json!("V")), "returned invalid converted object at index 1: invalid kind (expected W, received V)"),
            (object(0, "/metadata/name", json!("z")), "returned invalid converted object at index 0: must have the same name: a != z"),
            (object(0, "/metadata/uid", json!("z")), "returned invalid converted object at index 0: must have the same UID: u != z"),
            (object(0, "/metadata/namespace", json!("z")), "returned invalid converted object at index 0: must have the same namespace: n != z"),
            (object(0, "/metadata/labels", json!(7)), "returned invalid metadata in object at index 0: invalid metadata.labels of type int64 in converted object"),
            (object(0, "/metadata/labels", json!({"a": 7})),
                "returned invalid metadata in object at index 0: metadata.labels[a] must be a string, but is int64 in converted object"),
        ] {
            assert_eq!(answer.expect_err(wanted), format!("{of} {wanted}"));
        }
        let bad = object(0, "/metadata/labels", json!({"a": "b c"})).expect_err("a bad label");
        assert!(bad.starts_with(&format!("{of} returned invalid metadata in object at index 0: metadata.labels: Invalid value: \"b c\": ")), "{bad}");
    }

    #[test]
    fn the_older_review_is_held_to_less() {
        let asked = [widget("a")];
        let mut after = widget("a");
        after.set("apiVersion", "x.io/v2");
        let answer = json!({"response": {"uid": "other", "result": {"status": "Success"}, "convertedObjects": [after.into_value()]}});
        assert!(conversion("v1beta1").answer(&asked, &Gvk::new("x.io", "v2", "W"), "r", answer).is_ok());
    }
}
