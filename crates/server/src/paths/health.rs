//! `/healthz`, `/livez`, `/readyz`, and single checks below them (upstream: `server/healthz`).

use std::sync::Arc;

use http::{Response, StatusCode};
use meta::Status;
use transport::Body;

use crate::answer;
use crate::pipeline::Ask;

/// Tells what is wrong, if something is. Quick, no I/O.
pub type Probe = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// One thing that must be well.
#[derive(Clone)]
pub struct Check {
    /// As `?verbose` lists it, and as the path `/readyz/<name>`.
    pub name: String,
    /// Looks.
    pub probe: Probe,
    /// Whether a failure means that a restart might help (`/livez`), not only that requests should go
    /// elsewhere for now (`/readyz`).
    pub vital: bool,
}

/// Answers the whole path or a single check.
pub fn run(ask: &Ask<'_>) -> Result<Response<Body>, Status> {
    let path = ask.route.attributes.path.trim_matches('/');
    let (endpoint, single) = path.split_once('/').unwrap_or((path, ""));
    let checks = checks(ask, endpoint);
    if single.is_empty() {
        return Ok(all(ask, endpoint, &checks));
    }
    let Some(check) = checks.iter().find(|c| c.name == single) else { return Ok(answer::page_not_found()) };
    Ok(match (check.probe)() {
        // Upstream says it without a word on its form.
        Ok(()) => answer::bytes(StatusCode::OK, "text/plain; charset=utf-8", "ok"),
        Err(why) => answer::text(StatusCode::INTERNAL_SERVER_ERROR, format!("internal server error: {why}\n")),
    })
}

fn checks(ask: &Ask<'_>, endpoint: &str) -> Vec<Check> {
    let mut checks = vec![Check { name: "ping".to_owned(), probe: Arc::new(|| Ok(())), vital: true }];
    checks.extend(ask.state.checks.iter().filter(|c| c.vital || endpoint != "livez").cloned());
    if endpoint == "readyz" {
        let stopping = ask.state.stopping.clone();
        let well = move || if stopping.is_cancelled() { Err("process is shutting down".to_owned()) } else { Ok(()) };
        checks.push(Check { name: "shutdown".to_owned(), probe: Arc::new(well), vital: false });
    }
    checks
}

fn all(ask: &Ask<'_>, endpoint: &str, checks: &[Check]) -> Response<Body> {
    let query = &ask.route.query;
    let excluded: Vec<&str> = query.all("exclude").collect();
    let (mut report, mut failed) = (String::new(), Vec::new());
    for Check { name, probe, .. } in checks {
        if excluded.contains(&&**name) {
            report.push_str(&format!("[+]{name} excluded: ok\n"));
        } else if let Err(error) = probe() {
            report.push_str(&format!("[-]{name} failed: reason withheld\n"));
            failed.push(format!("{name}: {error}"));
        } else {
            report.push_str(&format!("[+]{name} ok\n"));
        }
    }
    let unknown = excluded.iter().filter(|e| !checks.iter().any(|c| c.name == **e));
    let unknown: Vec<String> = unknown.map(|e| format!("{e:?}")).collect();
    if !unknown.is_empty() {
        let list = unknown.join(", ");
        report.push_str(&format!("warn: some health checks cannot be excluded: no matches for {list}\n"));
    }
    if !failed.is_empty() {
        tracing::debug!(endpoint, error = failed.join("; "), "health check failed");
        return answer::text(StatusCode::INTERNAL_SERVER_ERROR, format!("{report}{endpoint} check failed\n"));
    }
    if query.get("verbose").is_none() {
        return answer::text(StatusCode::OK, "ok");
    }
    answer::text(StatusCode::OK, format!("{report}{endpoint} check passed\n"))
}
