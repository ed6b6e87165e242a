//! From the bytes of a body to an object of the expected kind (upstream: `endpoints/handlers/rest.go`,
//! `runtime/serializer/json`).

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt;
use kinds::Descriptor;
use meta::field::{Error, Path};
use meta::{Gvk, Object, Status, limits};
use registry::api::FieldValidation;
use schema::{Decoded, Schema};
use transport::Body;

use crate::negotiate::Format;

/// What upstream says of JSON in which it finds no type.
const NO_KIND: &str = "couldn't get version/kind; json parse error: ";

/// Reads the whole body; 413 beyond [`limits::BODY`]. A body of one part, as most are, is not copied.
pub async fn read(mut body: Body) -> Result<Bytes, Status> {
    if body.size_hint().lower() > limits::BODY as u64 {
        return Err(too_large());
    }
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| match error.downcast::<Status>() {
            // Who reads it on behalf of the request's turn has its own reasons.
            Ok(status) => *status,
            Err(error) => Status::bad_request(format!("the body could not be read: {error}")),
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + rest.len() + data.len() > limits::BODY {
            return Err(too_large());
        }
        if first.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() { first } else { [first, rest.freeze()].concat().into() })
}

fn too_large() -> Status {
    Status::too_large(&format!("limit is {}", limits::BODY))
}

/// What a document says of its type.
#[derive(Debug, Default)]
struct TypeFields {
    kind: String,
    api_version: String,
}

/// The object in a body and what is odd in it. `gvk` is what the path takes: the descriptor's own kind, or
/// that of a subresource.
pub fn object(
    gvk: &Gvk,
    schema: &Schema,
    format: Format,
    body: &Bytes,
    validation: FieldValidation,
) -> Result<(Object, Vec<String>), Status> {
    let decoded = match format {
        Format::Json => schema.decode_json(body),
        Format::Yaml => schema.decode_yaml(body),
        Format::Protobuf => {
            enveloped(gvk, body)?;
            schema.decode_proto(body)
        }
    };
    let mut decoded = match decoded {
        Ok(decoded) => decoded,
        Err(error) => return Err(undecodable(gvk, format, body, &error.to_string())),
    };
    let said =
        TypeFields { kind: decoded.object.kind().to_owned(), api_version: decoded.object.api_version().to_owned() };
    if schema.node().is_some() {
        custom_type(gvk, &said, &decoded.object, body)?;
    }
    check_version(gvk, &said, body)?;
    same_type(gvk, &said)?;
    if said.kind.is_empty() || said.api_version.is_empty() {
        decoded.object.set_gvk(gvk);
    }
    let Decoded { object, strict_errors } = decoded;
    match validation {
        FieldValidation::Ignore => Ok((object, Vec::new())),
        FieldValidation::Warn => Ok((object, schema::strict_warnings(strict_errors))),
        FieldValidation::Strict if strict_errors.is_empty() => Ok((object, strict_errors)),
        FieldValidation::Strict => {
            Err(unhandled(gvk, &gvk.kind, &format!("strict decoding error: {}", strict_errors.join(", "))))
        }
    }
}

/// Refuses an envelope that says it holds another kind, or none at all.
fn enveloped(gvk: &Gvk, body: &[u8]) -> Result<(), Status> {
    let opened = schema::proto::open(body).map_err(|error| unrecognized(gvk, body, &error))?;
    same_type(gvk, &TypeFields { kind: opened.kind, api_version: opened.api_version })
}

/// `DeleteOptions` in protobuf; upstream takes those of every group version.
pub fn delete_options(body: &[u8]) -> Result<Object, Status> {
    let schema = Schema::builtin(&Gvk::new("", "v1", "DeleteOptions"));
    let schema = schema.ok_or_else(|| Status::internal("no schema of DeleteOptions"))?;
    schema.decode_proto(body).map(|decoded| decoded.object).map_err(|e| Status::bad_request(e.to_string()))
}

fn undecodable(gvk: &Gvk, format: Format, body: &[u8], error: &str) -> Status {
    let json = match format {
        Format::Json => Some(body.to_vec()),
        Format::Yaml => std::str::from_utf8(body).ok().and_then(|text| schema::yaml_to_json(text).ok()).map(|(tree, _)| tree.to_string().into()),
        Format::Protobuf => None,
    };
    // Upstream looks for the type first.
    if let Some(why) = json.as_deref().and_then(schema::kind_error) {
        return unrecognized(gvk, body, &format!("{NO_KIND}{why}"));
    }
    let tree = json.and_then(|json| schema::json_tree(&json).ok());
    let Some((tree, _)) = tree else { return unrecognized(gvk, body, error) };
    let text = |name: &str| tree[name].as_str().unwrap_or_default().to_owned();
    let said = TypeFields { kind: text("kind"), api_version: text("apiVersion") };
    if let Err(status) = check_version(gvk, &said, body) {
        return status;
    }
    same_type(gvk, &said).err().unwrap_or_else(|| unhandled(gvk, &gvk.kind, error))
}

/// Refuses an `apiVersion` that is none.
fn check_version(gvk: &Gvk, said: &TypeFields, body: &[u8]) -> Result<(), Status> {
    match said.api_version.matches('/').count() {
        0 | 1 => Ok(()),
        _ => Err(unrecognized(gvk, body, &format!("unexpected GroupVersion string: {}", said.api_version))),
    }
}

/// Refuses a custom resource that is none of the kind: unlike others it has to say what it is.
fn custom_type(gvk: &Gvk, said: &TypeFields, object: &Object, body: &[u8]) -> Result<(), Status> {
    if said.kind.is_empty() {
        let text = String::from_utf8_lossy(body);
        return Err(unrecognized(gvk, body, &format!("Object 'Kind' is missing in '{text}'")));
    }
    let expected = gvk.api_version();
    if said.api_version != expected {
        return Err(Status::bad_request(format!(
            "the API version in the data ({}) does not match the expected API version ({expected})",
            said.api_version
        )));
    }
    if said.kind == *gvk.kind {
        return Ok(());
    }
    let error = Error::invalid(&Path::new("kind"), &*said.kind, format!("must be {}", gvk.kind));
    Err(Status::invalid(&gvk.group, &said.kind, object.name(), &[error]))
}

/// Refuses another type than the expected one; absent fields are no contradiction.
fn same_type(gvk: &Gvk, said: &TypeFields) -> Result<(), Status> {
    let expected = gvk.api_version();
    let kind = if said.kind.is_empty() { &*gvk.kind } else { &said.kind };
    let api_version = if said.api_version.is_empty() { &expected } else { &said.api_version };
    if kind == &*gvk.kind && *api_version == expected {
        return Ok(());
    }
    let actual = Gvk::from_api_version(api_version, kind);
    if let Some(why) = schema::foreign(gvk, api_version, kind) {
        return Err(unhandled(&actual, &gvk.kind, &why));
    }
    Err(Status::bad_request(format!(
        "the API version in the data ({api_version}) does not match the expected API version ({expected})"
    )))
}

fn unhandled(actual: &Gvk, expected: &str, why: &str) -> Status {
    let Gvk { version, kind, .. } = actual;
    Status::bad_request(format!("{kind} in version {version:?} cannot be handled as a {expected}: {why}"))
}

fn unrecognized(gvk: &Gvk, body: &[u8], error: &str) -> Status {
    Status::bad_request(format!(
        "the object provided is unrecognized (must be of type {}): {error} ({})",
        gvk.kind,
        summary(body)
    ))
}

/// The first thirty bytes, as text if it looks like JSON, else in hexadecimal.
fn summary(body: &[u8]) -> String {
    let shown = &body[..body.len().min(30)];
    let more = if body.len() > shown.len() { " ..." } else { "" };
    match body.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{more}", String::from_utf8_lossy(shown)),
        Some(_) => shown.iter().map(|b| format!("{b:02x}")).chain([more.to_owned()]).collect(),
    }
}

/// The kind that a path takes in a body, and its schema.
pub fn taken(kind: &Descriptor, subresource: &str) -> Result<(Gvk, Schema), Status> {
    match kind.subresource(subresource).and_then(|s| s.gvk) {
        None => Ok((kind.gvk.clone(), kind.schema.clone())),
        Some((group, version, name)) => {
            let gvk = Gvk::new(group, version, name);
            let schema = Schema::builtin(&gvk).ok_or_else(|| Status::internal(format!("no schema of {gvk}")))?;
            Ok((gvk, schema))
        }
    }
}
