//! Probes and life cycle hooks.

use meta::field::{Error, Errors};
use meta::text;

use super::Context;
use crate::validate::{port_number, port_number_or_name};
use crate::view::View;

/// `postStart`, `preStop` and `stopSignal`.
pub(super) fn lifecycle(context: &Context<'_>, container: &View<'_>, errors: &mut Errors) {
    let Some(lifecycle) = container.get("lifecycle") else { return };
    for hook in ["postStart", "preStop"].into_iter().filter_map(|h| lifecycle.get(h)) {
        handler(context, &hook, &["exec", "httpGet", "tcpSocket", "sleep"], errors);
    }
    if let Some(signal) = lifecycle.get("stopSignal") {
        match context.spec.at("os").text("name") {
            "" => errors.push(signal.forbidden("may not be set for containers with empty `spec.os.name`")),
            "windows" => signal.one_of(&["SIGKILL", "SIGTERM"], errors),
            "linux" => {
                let all = signals();
                signal.one_of(&all.iter().map(String::as_str).collect::<Vec<_>>(), errors);
            }
            _ => {}
        }
    }
}

/// The signals that can end a container on Linux, sorted.
fn signals() -> Vec<String> {
    const NAMED: &str = "ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM \
                         TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX";
    let real_time = (1..=15).map(|n| format!("SIGRTMIN+{n}")).chain((1..=14).map(|n| format!("SIGRTMAX-{n}")));
    let mut all: Vec<String> = NAMED.split(' ').map(|name| format!("SIG{name}")).chain(real_time).collect();
    all.sort();
    all
}

/// The three probes of a container.
pub(super) fn probes(context: &Context<'_>, container: &View<'_>, errors: &mut Errors) {
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(probe) = container.get(name) else { continue };
        one(context, &probe, errors);
        let (threshold, grace) = (probe.at("successThreshold"), probe.at("terminationGracePeriodSeconds"));
        if name == "readinessProbe" {
            if grace.exists() {
                errors.push(grace.invalid("must not be set for readinessProbes"));
            }
        } else if threshold.int().unwrap_or(0) != 1 {
            errors.push(threshold.invalid("must be 1"));
        }
    }
}

fn one(context: &Context<'_>, probe: &View<'_>, errors: &mut Errors) {
    handler(context, probe, &["exec", "httpGet", "tcpSocket", "grpc"], errors);
    for field in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
        probe.at(field).not_negative(errors);
    }
    let grace = probe.at("terminationGracePeriodSeconds");
    if grace.int().is_some_and(|seconds| seconds <= 0) {
        errors.push(grace.invalid("must be greater than 0"));
    }
}

/// Exactly one of the sorts of handler.
fn handler(context: &Context<'_>, handler: &View<'_>, sorts: &[&str], errors: &mut Errors) {
    let mut given = sorts.iter().filter_map(|sort| handler.get(sort).map(|h| (*sort, h)));
    let Some((sort, first)) = given.next() else {
        errors.push(Error::required(&handler.path, "must specify a handler type"));
        return;
    };
    match sort {
        "exec" if first.at("command").is_empty() => errors.push(first.at("command").required("")),
        "httpGet" => http_get(&first, errors),
        "tcpSocket" => port_number_or_name(&first.at("port"), errors),
        "grpc" => port_number(&first.at("port"), errors),
        "sleep" => {
            let (seconds, grace) = (first.number("seconds"), context.spec.at("terminationGracePeriodSeconds").int());
            if let Some(grace) = grace.filter(|g| !(0..=*g).contains(&seconds)) {
                let detail = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
                errors.push(Error::invalid(&first.path, seconds, detail));
            }
        }
        _ => {}
    }
    for (_, other) in given {
        errors.push(other.forbidden("may not specify more than 1 handler type"));
    }
}

fn http_get(get: &View<'_>, errors: &mut Errors) {
    if get.text("path").is_empty() {
        errors.push(get.at("path").required(""));
    }
    port_number_or_name(&get.at("port"), errors);
    get.at("scheme").one_of(&["HTTP", "HTTPS"], errors);
    let headers = get.at("httpHeaders");
    for name in headers.items().map(|h| h.text("name").to_owned()) {
        let wrong = text::http_header_name(&name).into_iter();
        errors.extend(wrong.map(|m| Error::invalid(&headers.path, name.as_str(), m)));
    }
}
