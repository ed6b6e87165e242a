//! `/version`.

use http::{Response, StatusCode};
use meta::{Object, Status};
use schema::Schema;
use serde_json::json;
use transport::Body;

use crate::{answer, pretty};
use crate::pipeline::Ask;

/// The version of Kubernetes that this is, for clients that check their skew.
pub const GIT_VERSION: &str = "v1.36.3";

/// Answers with upstream's fields, one a line as upstream prints them for everybody.
pub fn run(_: &Ask<'_>) -> Result<Response<Body>, Status> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let info = json!({
            "major": "1",
            "minor": "36",
            "emulationMajor": "1",
            "emulationMinor": "36",
            "minCompatibilityMajor": "1",
            "minCompatibilityMinor": "35",
            "gitVersion": GIT_VERSION,
            "gitCommit": "",
            "gitTreeState": "clean",
            "buildDate": "1970-01-01T00:00:00Z",
            "goVersion": "",
            "compiler": "rustc",
            "platform": format!("{}/{architecture}", std::env::consts::OS),
    });
    let schema = Schema::definition("io.k8s.apimachinery.pkg.version.Info");
    let schema = schema.ok_or_else(|| Status::internal("no schema of the version"))?;
    let body = schema.encode(&Object::from_value(info).unwrap_or_default(), false).0;
    let lines = pretty::indent(&body).map_or(body, Into::into);
    Ok(answer::bytes(StatusCode::OK, "application/json", lines))
}
