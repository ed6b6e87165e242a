//! What `kubernetes` can be told.

use std::net::SocketAddr;

use meta::selector::Labels;

use crate::corefile::values::{self, Through};
use crate::corefile::{Directive, Fault, Word, zones};
use crate::steps::Building;
use crate::zone::{Options, Pods};

/// Known to CoreDNS, and about a server outside of the cluster, its connection, or several clusters.
const OTHERS: &[&str] = &[
    "endpoint", "tls", "kubeconfig", "multicluster", "zonal", "startup_timeout", "apiserver_qps", "apiserver_burst",
    "apiserver_max_inflight",
];

pub(super) fn read(building: &Building<'_>, directive: &Directive) -> Result<(Options, Through), Fault> {
    let mut options = Options::of("");
    let bare = |zone: String| zone.strip_suffix('.').map_or_else(|| zone.clone(), str::to_owned);
    options.zones = zones::origins(&directive.args, building.zones)?.into_iter().map(bare).collect();
    options.pods = Pods::Disabled;
    options.addresses = building.addresses.iter().map(SocketAddr::ip).collect();
    // The root is no domain of a cluster, and has no reverse zone's name.
    if options.domain().is_empty() {
        return Err(Fault::at(directive.name.line, "non-reverse zone name must be used"));
    }
    let mut through = Through::default();
    for line in &directive.lines {
        let Some((name, args)) = line.split_first() else { continue };
        match name.text.as_str() {
            "fallthrough" => through = Through::read(args)?,
            _ => option(&mut options, name, args)?,
        }
    }
    if !options.namespaces.is_empty() && options.namespace_labels.is_some() {
        return Err(Fault::at(directive.name.line, "namespaces and namespace_labels cannot both be set"));
    }
    Ok((options, through))
}

fn option(options: &mut Options, name: &Word, args: &[Word]) -> Result<(), Fault> {
    match name.text.as_str() {
        "pods" => {
            let word = values::one(name, args)?;
            options.pods = match word.text.as_str() {
                "disabled" => Pods::Disabled,
                "insecure" => Pods::Insecure,
                "verified" => Pods::Verified,
                other => {
                    let known = "must be one of: disabled, verified, insecure";
                    return Err(Fault::at(word.line, format!("wrong value for pods: {other},  {known}")));
                }
            };
        }
        "ttl" => options.ttl = u32::try_from(values::number(values::one(name, args)?, 0, 3600)?).unwrap_or(options.ttl),
        "endpoint_pod_names" => {
            values::none(name, args)?;
            options.pod_names = true;
        }
        "noendpoints" => {
            values::none(name, args)?;
            options.endpoints = false;
        }
        "namespaces" if !args.is_empty() => options.namespaces.extend(args.iter().map(|word| word.text.clone())),
        "labels" if !args.is_empty() => options.labels = Some(selector(args)?),
        "namespace_labels" if !args.is_empty() => options.namespace_labels = Some(selector(args)?),
        "namespaces" | "labels" | "namespace_labels" => return Err(Fault::arguments(name)),
        "ignore" => match args {
            [what] if what.text == "empty_service" => options.ignore_empty = true,
            [what, ..] => return Err(Fault::at(what.line, format!("unable to parse ignore value: '{}'", what.text))),
            [] => return Err(Fault::arguments(name)),
        },
        other if OTHERS.contains(&other) => return Err(Fault::unsupported(name)),
        _ => return Err(Fault::unknown(name)),
    }
    Ok(())
}

fn selector(args: &[Word]) -> Result<Labels, Fault> {
    let text = args.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
    let line = args.first().map_or(0, |word| word.line);
    Labels::parse(&text).map_err(|_| Fault::at(line, format!("unable to parse label selector value: '{text}'")))
}
