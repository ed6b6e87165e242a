//! `ironclad ls`: the clusters of this machine.

use anyhow::{Result, bail};
use clap::{Arg, ArgMatches};
use serde_json::{Value, json};

use super::Command;
use crate::clusters::{self, Cluster};
use crate::out;

pub(super) const COMMAND: Command = Command { definition, run };

fn definition() -> clap::Command {
    let output = Arg::new("output").short('o').long("output").value_name("FORMAT").value_parser(["json", "table"]);
    let output = output.default_value("table").help("How: a table, or JSON with all that is known");
    clap::Command::new("ls").about("List the clusters of this machine: those that run, and those that left something").arg(output)
}

fn run(matches: &ArgMatches) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("what clusters there are is for root to know: run `ls` as root");
    }
    let all = clusters::all();
    match matches.get_one::<String>("output").map(String::as_str) {
        Some("json") => out::line(format_args!("{:#}", document(&all))),
        _ => table(&all).into_iter().for_each(out::line),
    }
    Ok(())
}

/// One word for what a cluster does.
fn state(cluster: &Cluster) -> &'static str {
    match (cluster.pid, cluster.settings.ready) {
        (Some(_), true) => "Running",
        (Some(_), false) => "Starting",
        // Its pods may run on.
        (None, _) => "Stopped",
    }
}

fn document(all: &[Cluster]) -> Value {
    let one = |cluster: &Cluster| {
        let settings = &cluster.settings;
        json!({
            "dataDirectory": settings.data,
            "runDirectory": cluster.run,
            "state": state(cluster),
            "pid": cluster.pid,
            "supervisorPid": settings.supervisor.filter(|_| cluster.pid.is_some()),
            "node": settings.node,
            "server": settings.server,
            "kubeletPort": settings.kubelet_port,
            "podNetwork": settings.pod_network,
            "serviceNetwork": settings.service_network,
            "nodePorts": settings.node_ports,
            "pods": cluster.pods(),
            "bridge": settings.names.bridge,
            "linkPrefix": settings.names.links,
            "nftablesTable": settings.names.table,
            "sameNetworkNamespace": cluster.is_here(),
        })
    };
    json!({"clusters": all.iter().map(one).collect::<Vec<_>>()})
}

fn table(all: &[Cluster]) -> Vec<String> {
    if all.is_empty() {
        return vec!["No clusters on this machine.".to_owned()];
    }
    let titles = ["DATA DIRECTORY", "STATE", "PROCESS", "PODS", "SERVER", "POD NETWORK", "SERVICE NETWORK"];
    let row = |cluster: &Cluster| {
        let process = cluster.pid.map_or_else(|| "<none>".to_owned(), |pid| pid.to_string());
        let settings = &cluster.settings;
        let server = if settings.server.is_empty() { "<unknown>" } else { &settings.server };
        [
            settings.data.as_ref().map_or_else(|| "<unknown>".to_owned(), |data| data.display().to_string()),
            state(cluster).to_owned(),
            process,
            cluster.pods().to_string(),
            server.to_owned(),
            settings.pod_network.to_string(),
            settings.service_network.to_string(),
        ]
    };
    let mut rows = vec![titles.map(str::to_owned)];
    rows.extend(all.iter().map(row));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..titles.len()).map(width).collect();
    let line = |row: &[String; 7]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("   ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dirs::Settings;

    fn cluster(pid: Option<u32>) -> Cluster {
        let (data, server) = (Some("/data".into()), "https://192.0.2.1:6443".to_owned());
        let ranges = ("10.245.0.0/16".parse().expect("a range"), "10.97.0.0/16".parse().expect("a range"));
        let names = network::Names::of("0000abcd");
        let settings =
            Settings { pid: 7, ready: true, data, server, names, pod_network: ranges.0, service_network: ranges.1, ..Settings::default() };
        Cluster { run: "/run/nowhere".into(), settings, pid }
    }

    #[test]
    fn a_table_has_a_line_for_each_and_its_columns_are_as_wide_as_needed() {
        let lines = table(&[cluster(Some(7)), cluster(None)]);
        assert_eq!(
            lines,
            [
                "DATA DIRECTORY   STATE     PROCESS   PODS   SERVER                   POD NETWORK     SERVICE NETWORK",
                "/data            Running   7         0      https://192.0.2.1:6443   10.245.0.0/16   10.97.0.0/16",
                "/data            Stopped   <none>    0      https://192.0.2.1:6443   10.245.0.0/16   10.97.0.0/16",
            ]
        );
        assert_eq!(table(&[]), ["No clusters on this machine."]);
    }

    #[test]
    fn the_document_names_what_is_on_the_machine() {
        let found = document(&[cluster(None)]);
        let one = &found["clusters"][0];
        assert_eq!((&one["dataDirectory"], &one["state"], &one["pid"]), (&json!("/data"), &json!("Stopped"), &json!(null)));
        assert_eq!((&one["bridge"], &one["nftablesTable"]), (&json!("ic0000abcd"), &json!("ironclad-0000abcd")));
        assert_eq!(document(&[]), json!({"clusters": []}));
    }
}
