//! `/`: the paths that there are.

use http::{Response, StatusCode};
use meta::Status;
use serde_json::json;
use transport::Body;

use crate::pipeline::Ask;
use crate::{answer, discovery};

/// Answers with all paths, the group versions included.
pub fn run(ask: &Ask<'_>) -> Result<Response<Body>, Status> {
    let fixed = super::ALL.iter().map(|(path, _)| *path).filter(|p| *p != "/" && !p.ends_with('*'));
    let mut paths: Vec<String> = fixed.map(str::to_owned).collect();
    for group in discovery::groups(&ask.state.registry.kinds()) {
        let base = if group.name.is_empty() { "/api".to_owned() } else { format!("/apis/{}", group.name) };
        paths.extend(group.versions.iter().map(|v| format!("{base}/{}", v.name)));
        paths.push(base);
    }
    paths.sort();
    paths.dedup();
    Ok(answer::json(StatusCode::OK, &json!({ "paths": paths })))
}
