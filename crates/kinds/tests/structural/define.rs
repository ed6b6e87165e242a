//! Definitions by dice: nearly right ones, of which a part is changed.

use serde_json::{Value, json};

use crate::judge::Dice;
use crate::make::root;

/// Metadata in defaults is written as it is read: upstream shows schemas with what it has read of them.
pub fn written(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(own) = map.get_mut("metadata").and_then(Value::as_object_mut).filter(|own| own.contains_key("name")) {
                own.retain(|name, value| !["odd", "creationTimestamp", "ownerReferences"].contains(&&**name) && *value != "");
            }
            map.values_mut().for_each(written);
        }
        Value::Array(list) => list.iter_mut().for_each(written),
        _ => {}
    }
}

/// A definition of one version.
pub fn plain(schema: Value) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    })
}

/// A certificate in PEM and base64.
const GOOD: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUJMakNCNGFBREFnRUNBaFFSY3ZxaW40U3Eyck5SNnZUcHdmajhrQ3haa0RBRkJnTXJaWEF3RERFS01BZ0cKQTFVRUF3d0JZVEFnRncweU5qRXlNREV4TWpJek5UQmFHQTh5TVRJMk1URXdOekV5TWpNMU1Gb3dEREVLTUFnRwpBMVVFQXd3QllUQXFNQVVHQXl0bGNBTWhBR2RKZzZYbUwvVzVkdE5WZmcyNFdXZFozUnZ5aVo4Zk51cm9KYXRZCkF5eitvMU13VVRBZEJnTlZIUTRFRmdRVUlJclByam5yaEtxTmsxMUpSdkJZUVdzbGRzUXdId1lEVlIwakJCZ3cKRm9BVUlJclByam5yaEtxTmsxMUpSdkJZUVdzbGRzUXdEd1lEVlIwVEFRSC9CQVV3QXdFQi96QUZCZ01yWlhBRApRUUQ2VmFodkM2SE92K084WmlXQyt4WCtTZlhHZDJJeDZBclNvKzZhM1FPeURld0NDUXlseTZHQTIwVC9kVHc1CnNjUjh5UnZVa3ZwTjY1R3FkYldFbHVZUAotLS0tLUVORCBDRVJUSUZJQ0FURS0tLS0tCg==";

/// The schema of the first version.
const SCHEMA: &str = "/spec/versions/0/schema/openAPIV3Schema";

/// Hurts a schema somewhere.
fn hurt(dice: &mut Dice, schema: &mut Value) {
    let below: Vec<String> = schema.as_object().into_iter().flatten().filter(|(_, v)| v.is_object() || v.is_array()).map(|(k, _)| k.clone()).collect();
    if !below.is_empty() && dice.roll(3) > 0 {
        let name = below[dice.roll(below.len())].clone();
        let inner = &mut schema[&*name];
        match inner {
            Value::Array(list) if name.ends_with("Of") && !list.is_empty() => {
                let at = dice.roll(list.len());
                return hurt(dice, &mut list[at]);
            }
            Value::Object(map) if name == "properties" && !map.is_empty() => {
                let key = map.keys().nth(dice.roll(map.len())).cloned().expect("one");
                return hurt(dice, &mut map[&key]);
            }
            Value::Object(_) if ["items", "additionalProperties", "not"].contains(&&*name) => return hurt(dice, inner),
            _ => {}
        }
    }
    let odd = json!([
        {"type": "strange"}, {"type": ""}, {"type": "array"}, {"type": "null"}, {"items": [{"type": "string"}]}, {"id": "x"},
        {"$ref": "#/x"}, {"patternProperties": {"^a": {"type": "string"}}}, {"definitions": {"a": {"type": "string"}}},
        {"dependencies": {"a": ["b"]}}, {"additionalItems": true}, {"uniqueItems": true}, {"nullable": true},
        {"x-kubernetes-preserve-unknown-fields": false}, {"x-kubernetes-preserve-unknown-fields": true},
        {"x-kubernetes-embedded-resource": true}, {"x-kubernetes-int-or-string": true}, {"x-kubernetes-list-type": "map"},
        {"x-kubernetes-list-type": "odd"}, {"x-kubernetes-map-type": "atomic"}, {"x-kubernetes-map-type": "odd"},
        {"x-kubernetes-list-map-keys": ["a", "a"]}, {"default": {"a": 1, "odd": 2}}, {"default": 5}, {"pattern": "(a"},
        {"additionalProperties": {"type": "string"}}, {"additionalProperties": true}, {"additionalProperties": false},
        {"allOf": [{"properties": {"zzz": {"type": "string"}}}]}, {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        {"not": {"description": "x", "default": 1, "nullable": true}}, {"oneOf": [{"properties": {"metadata": {}}}]},
        {"title": "x", "description": "y"}, {"example": {"a": 1}}, {"externalDocs": {"url": "x"}}, {"format": "odd"},
        {"properties": {"metadata": {"type": "object", "description": "x"}}}, {"properties": {"kind": {"type": "integer"}}},
        {"properties": {"metadata": {"type": "object", "properties": {"name": {"type": "string", "default": "x"}}}}},
        {"enum": ["a", 1, null, 1.5]}
    ]);
    let odd = &odd[dice.roll(odd.as_array().map_or(1, Vec::len))];
    let Value::Object(map) = schema else { return };
    map.extend(odd.as_object().cloned().unwrap_or_default());
}

/// Changes something beside the schema.
fn twist(dice: &mut Dice, made: &mut Value) {
    let spec = &mut made["spec"];
    if spec["versions"].as_array().is_none_or(Vec::is_empty) {
        return;
    }
    match dice.roll(27) {
        0 => spec["group"] = json!(dice.pick(&["", "example", "EXAMPLE.com", "a.k8s.io", "kubernetes.io"])),
        1 => spec["scope"] = json!(dice.pick(&["", "Cluster", "odd"])),
        2 => spec["names"]["plural"] = json!(dice.pick(&["", "Things", "things-"])),
        3 => spec["names"]["kind"] = json!(dice.pick(&["", "thing", "Thing_"])),
        4 => spec["names"]["listKind"] = json!(dice.pick(&["Thing", "List_", "Things"])),
        5 => spec["names"]["shortNames"] = json!(["th", "T"]),
        6 => spec["names"]["categories"] = json!(["all", "A"]),
        7 => spec["versions"] = json!([]),
        8 => spec["versions"][0]["storage"] = json!(false),
        9 => spec["versions"][0]["name"] = json!(dice.pick(&["V1", "", "1", "v2"])),
        10 => {
            let again = spec["versions"][0].clone();
            spec["versions"] = json!([again, again]);
        }
        11 => spec["versions"][0]["schema"] = json!({}),
        12 => {
            let mut other = spec["versions"][0].clone();
            other["name"] = json!("v2");
            other["storage"] = json!(dice.roll(3) == 0);
            if dice.roll(2) == 0 {
                other["schema"] = json!({"openAPIV3Schema": {"type": "object"}});
            }
            let first = spec["versions"][0].clone();
            spec["versions"] = json!([first, other]);
        }
        13 => spec["versions"][0]["deprecationWarning"] = json!(dice.pick(&["", "x", "a\nb"])),
        14 => {
            spec["versions"][0]["deprecated"] = json!(true);
            spec["versions"][0]["deprecationWarning"] = json!(["", "x", "a\nb", &"x".repeat(300)][dice.roll(4)]);
        }
        15 | 16 => spec["versions"][0]["subresources"] = json!({"status": {}}),
        17 => {
            let path = |dice: &mut Dice| dice.pick(&["", ".spec.a", ".status.a", "spec.a", ".", ".metadata.x"]).to_owned();
            let scale = json!({"specReplicasPath": path(dice), "statusReplicasPath": path(dice), "labelSelectorPath": path(dice)});
            spec["versions"][0]["subresources"] = json!({"scale": scale});
        }
        18 => {
            let column = json!({"name": dice.pick(&["", "A"]), "type": dice.pick(&["", "string", "odd"]), "jsonPath": dice.pick(&["", ".a", "a"]), "format": dice.pick(&["", "byte", "odd"])});
            spec["versions"][0]["additionalPrinterColumns"] = json!([column]);
        }
        19 | 20 => {
            let paths = [".spec", ".spec.a", "spec", ".metadata.name", ".spec['a']", ".status.size", "", ".data.b", ".data.c", "."];
            let fields: Vec<Value> = (0..1 + dice.roll(4)).map(|_| json!({"jsonPath": dice.pick(&paths)})).collect();
            spec["versions"][0]["selectableFields"] = json!(fields);
        }
        21 => spec["conversion"] = json!({"strategy": dice.pick(&["", "None", "Webhook", "odd"])}),
        22 | 23 => {
            let service = json!({"name": dice.pick(&["", "a"]), "namespace": dice.pick(&["", "b"]), "path": dice.pick(&["/x/y", "//", "x", "/A/"]), "port": ([0, 443, 70000][dice.roll(3)])});
            let mut client = json!({"service": service});
            if dice.roll(2) == 0 {
                client = json!({"url": dice.pick(&["https://a/b", "http://a", "https://u:p@a/?q#f", "https://", "a%zz"]), "caBundle": (["YWJj", "LS0tLS1CRUdJTiBYLS0tLS0KWVdKagotLS0tLUVORCBYLS0tLS0K", "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCllXSmoKLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=", GOOD][dice.roll(4)])});
            }
            let reviews = json!([dice.pick(&["v1", "v2", "V"]), dice.pick(&["v1beta1", "v2"])]);
            spec["conversion"] = json!({"strategy": dice.pick(&["Webhook", "Webhook", "None"]), "webhook": {"clientConfig": client, "conversionReviewVersions": reviews}});
        }
        // What follows changes the metadata.
        24 => spec["preserveUnknownFields"] = json!(true),
        25 => made["metadata"] = json!({"name": "things.a.k8s.io", "annotations": {"api-approved.kubernetes.io": dice.pick(&["", "unapproved, x", "https://a/b", "odd"])}}),
        _ => {
            let rules = json!([
                {"rule": ""}, {"rule": "true", "message": " "}, {"rule": "true", "message": "a\nb"}, {"rule": "true ||\ntrue"},
                {"rule": "true", "messageExpression": " "}, {"rule": "true", "reason": "odd"}, {"rule": "true", "fieldPath": ".zzz"},
                {"rule": "true", "fieldPath": " "}, {"rule": "true", "fieldPath": ".spec", "reason": "FieldValueInvalid"}
            ]);
            let rule = rules[dice.roll(9)].clone();
            spec["versions"][0]["schema"]["openAPIV3Schema"]["x-kubernetes-validations"] = json!([rule]);
        }
    }
}

/// A definition, often a wrong one.
pub fn definition(dice: &mut Dice) -> Value {
    let mut schema = root(dice);
    for _ in 0..dice.roll(3) {
        hurt(dice, &mut schema);
    }
    let mut made = plain(schema);
    written(&mut made);
    for _ in 0..dice.roll(3) {
        twist(dice, &mut made);
    }
    made
}

/// An old definition and a new one.
pub fn change(dice: &mut Dice) -> Value {
    let schema = root(dice);
    change_of(dice, schema)
}

/// The same of a schema.
pub fn change_of(dice: &mut Dice, schema: Value) -> Value {
    let mut old = plain(schema);
    written(&mut old);
    for _ in 0..dice.roll(2) {
        twist(dice, &mut old);
    }
    if dice.roll(3) == 0 {
        old.pointer_mut(SCHEMA).into_iter().for_each(|schema| hurt(dice, schema));
    }
    old["metadata"]["resourceVersion"] = json!("5");
    old["status"] = json!({"storedVersions": ["v1"], "acceptedNames": {"plural": "things", "kind": "Thing"}, "conditions": []});
    if dice.roll(2) == 0 {
        old["status"]["conditions"] = json!([{"type": "Established", "status": "True", "reason": "a", "message": "b"}]);
    }
    let mut new = old.clone();
    for _ in 0..1 + dice.roll(2) {
        if dice.roll(2) == 0 {
            twist(dice, &mut new);
        } else if let Some(schema) = new.pointer_mut(SCHEMA) {
            hurt(dice, schema);
        }
    }
    json!({"Old": old, "New": new})
}
