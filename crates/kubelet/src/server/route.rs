//! Paths of the agent's server. Pure.

/// `namespace` and `name` of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodName {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Uid, if the path has one.
    pub uid: Option<String>,
}

/// Query of a log request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Stay for what comes.
    pub follow: bool,
    /// Of the start before the present one.
    pub previous: bool,
    /// Each line with its time.
    pub timestamps: bool,
    /// Only the last lines.
    pub tail_lines: Option<u64>,
    /// Only so many bytes.
    pub limit_bytes: Option<u64>,
    /// Only lines of that age at most, seconds.
    pub since_seconds: Option<i64>,
    /// Only lines from then on, RFC 3339.
    pub since_time: Option<String>,
    /// `Stdout` or `Stderr` alone.
    pub stream: Option<String>,
}

/// Query of exec and attach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamOptions {
    /// Program and arguments.
    pub command: Vec<String>,
    /// With standard input.
    pub stdin: bool,
    /// With standard output.
    pub stdout: bool,
    /// With standard error.
    pub stderr: bool,
    /// With a terminal.
    pub tty: bool,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Route {
    Health,
    Pods,
    RunningPods,
    Summary { only_cpu_and_memory: bool },
    Metrics,
    ResourceMetrics,
    ContainerMetrics,
    ProbeMetrics,
    Configz,
    SystemLogs { path: String },
    Logs { pod: PodName, container: String, options: LogOptions },
    Exec { pod: PodName, container: String, options: StreamOptions },
    Attach { pod: PodName, container: String, options: StreamOptions },
    PortForward { pod: PodName, ports: Vec<u16> },
}

/// The route of a path and a query; `None` for an unknown path.
pub fn parse(path: &str, query: &str) -> Option<Route> {
    let parts: Vec<String> = path.split('/').filter(|p| !p.is_empty()).map(decode).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let query: Vec<(String, String)> = query.split('&').filter(|p| !p.is_empty()).map(pair).collect();
    let pod = |namespace: &str, name: &str, uid: Option<&str>| PodName {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        uid: uid.map(str::to_owned),
    };
    Some(match parts.as_slice() {
        ["healthz"] => Route::Health,
        ["pods"] => Route::Pods,
        ["runningpods"] => Route::RunningPods,
        ["stats", "summary"] => Route::Summary { only_cpu_and_memory: truth(&query, "only_cpu_and_memory") },
        ["metrics"] => Route::Metrics,
        ["metrics", "resource"] => Route::ResourceMetrics,
        ["metrics", "cadvisor"] => Route::ContainerMetrics,
        ["metrics", "probes"] => Route::ProbeMetrics,
        ["configz"] => Route::Configz,
        ["logs", path @ ..] => Route::SystemLogs { path: path.join("/") },
        ["containerLogs", namespace, name, container] => Route::Logs {
            pod: pod(namespace, name, None),
            container: (*container).to_owned(),
            options: log_options(&query),
        },
        [verb @ ("exec" | "attach"), namespace, name, rest @ ..] => {
            let (uid, container) = match rest {
                [container] => (None, *container),
                [uid, container] => (Some(*uid), *container),
                _ => return None,
            };
            let (pod, container) = (pod(namespace, name, uid), container.to_owned());
            let options = stream_options(&query);
            if *verb == "exec" { Route::Exec { pod, container, options } } else { Route::Attach { pod, container, options } }
        }
        ["portForward", namespace, name] => port_forward(pod(namespace, name, None), &query),
        ["portForward", namespace, name, uid] => port_forward(pod(namespace, name, Some(uid)), &query),
        _ => return None,
    })
}

fn port_forward(pod: PodName, query: &[(String, String)]) -> Route {
    let ports = query.iter().filter(|(k, _)| matches!(k.as_str(), "port" | "ports"));
    let ports = ports.flat_map(|(_, v)| v.split(',')).filter_map(|p| p.parse().ok()).collect();
    Route::PortForward { pod, ports }
}

fn get<'a>(query: &'a [(String, String)], key: &str) -> Option<&'a str> {
    query.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
}

fn truth(query: &[(String, String)], key: &str) -> bool {
    get(query, key).is_some_and(|v| matches!(v, "1" | "true" | "t" | "True" | "TRUE" | "T"))
}

fn log_options(query: &[(String, String)]) -> LogOptions {
    let number = |key| get(query, key).and_then(|v| v.parse().ok());
    LogOptions {
        follow: truth(query, "follow"),
        previous: truth(query, "previous"),
        timestamps: truth(query, "timestamps"),
        tail_lines: number("tailLines"),
        limit_bytes: number("limitBytes"),
        since_seconds: get(query, "sinceSeconds").and_then(|v| v.parse().ok()),
        since_time: get(query, "sinceTime").map(str::to_owned),
        stream: get(query, "stream").filter(|s| *s != "All").map(str::to_owned),
    }
}

fn stream_options(query: &[(String, String)]) -> StreamOptions {
    let either = |a, b| truth(query, a) || truth(query, b);
    let command = query.iter().filter(|(k, _)| k == "command").map(|(_, v)| v.clone()).collect();
    let tty = truth(query, "tty");
    StreamOptions {
        command,
        stdin: either("input", "stdin"),
        stdout: either("output", "stdout"),
        // A terminal has one output alone.
        stderr: either("error", "stderr") && !tty,
        tty,
    }
}

fn pair(part: &str) -> (String, String) {
    let (key, value) = part.split_once('=').unwrap_or((part, ""));
    (decode(&key.replace('+', " ")), decode(&value.replace('+', " ")))
}

/// Resolves `%41`.
fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
        match (byte, digit(ahead.next()), digit(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                bytes = ahead;
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_queries() {
        let query = "command=sh&command=-c&command=a%20b%2Bc&input=1&output=1&error=1";
        let Some(Route::Exec { pod, container, options }) = parse("/exec/ns/p/u1/c", query) else { panic!("not exec") };
        assert_eq!((pod.uid.as_deref(), container.as_str()), (Some("u1"), "c"));
        assert_eq!(options.command, ["sh", "-c", "a b+c"]);
        assert!(options.stdin && options.stdout && options.stderr && !options.tty);
        let Some(Route::Logs { options, .. }) = parse("/containerLogs/ns/p/c", "follow=true&tailLines=5") else { panic!("not logs") };
        assert_eq!((options.follow, options.tail_lines), (true, Some(5)));
        let logs = parse("/logs/a%20b/c/", "");
        assert_eq!(logs, Some(Route::SystemLogs { path: "a b/c".to_owned() }));
        assert_eq!(parse("/run/x", ""), None);
    }
}
