//! `pods/exec`: a command in a container.

use http::Response;
use meta::Status;
use transport::Body;

use super::{target, upgrade};
use crate::query::Query;
use crate::verbs::Work;

/// Leads to the kubelet.
pub async fn run(work: Work<'_>) -> Result<Response<Body>, Status> {
    stream(work, "exec").await
}

/// What `exec` and `attach` have in common.
pub async fn stream(work: Work<'_>, endpoint: &str) -> Result<Response<Body>, Status> {
    upgrade::allowed(&work)?;
    let query = &work.ask.route.query;
    let pod = target::pod(&work).await?;
    let container = target::container(&pod, query.text("container"))?;
    let kubelet = target::kubelet_needed(work.ask.state, &pod).await?;
    upgrade::required(work.headers())?;
    let query = kubelet_query(query, endpoint == "exec");
    let path = format!("/{endpoint}/{}/{}/{container}?{query}", pod.namespace(), pod.name());
    upgrade::pass(work, &kubelet, &path).await
}

/// The kubelet calls the streams by other names than the API does.
fn kubelet_query(query: &Query, command: bool) -> String {
    let on = |name: &str, default: bool| query.boolean(name).unwrap_or(default);
    let mut out = form_urlencoded::Serializer::new(String::new());
    let (input, output, error) = (on("stdin", false), on("stdout", true), on("stderr", true));
    let streams = [("input", input), ("output", output), ("error", error), ("tty", on("tty", false))];
    for (name, _) in streams.iter().filter(|(_, on)| *on) {
        out.append_pair(name, "1");
    }
    if command {
        out.extend_pairs(query.all("command").map(|c| ("command", c)));
    }
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_get_the_kubelets_names() {
        let q = Query::parse("command=sh&command=-c&stdin=true&stdout=true&stderr=false&container=a");
        assert_eq!(kubelet_query(&q, true), "input=1&output=1&command=sh&command=-c");
    }
}
