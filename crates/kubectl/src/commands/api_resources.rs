//! `kubectl api-resources`.

use clap::{ArgMatches, Command};
use futures::FutureExt;

use super::Member;
use crate::discovery::Resource;
use crate::failure::Failure;
use crate::flags::{on, switch, text, value};
use crate::print::Tabs;
use crate::session::Session;

pub const MEMBER: Member = Member { command, run: |session, matches| run(session, matches).boxed() };

fn command() -> Command {
    Command::new("api-resources")
        .about("Print the supported API resources on the server")
        .arg(switch("no-headers", false, "Without the line of headers"))
        .arg(text("output", "wide or name").short('o'))
        .arg(text("api-group", "Only resources of this group"))
        .arg(text("namespaced", "true or false: only resources in namespaces, or only others").num_args(0..=1).require_equals(true).default_missing_value("true"))
}

async fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let group = value(matches, "api-group");
    let namespaced = value(matches, "namespaced").map(|v| v == "true");
    let fits = |r: &&Resource| {
        r.preferred && group.is_none_or(|g| g == r.group) && namespaced.is_none_or(|n| n == r.namespaced)
    };
    let mut resources: Vec<&Resource> =
        session.discovery().await?.resources.iter().filter(fits).filter(|r| !r.verbs.is_empty()).collect();
    resources.sort_by(|a, b| (&a.group, &a.name).cmp(&(&b.group, &b.name)));
    let output = value(matches, "output").unwrap_or("");
    if output == "name" {
        let mut names: Vec<String> = resources.iter().map(|r| r.plural_label()).collect();
        names.sort();
        names.iter().for_each(|name| println!("{name}"));
        return Ok(());
    }
    let wide = output == "wide";
    let mut tabs = Tabs::new();
    if !on(matches, "no-headers") {
        let headers = ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND", "VERBS", "CATEGORIES"];
        tabs.line(headers.into_iter().take(if wide { 7 } else { 5 }));
    }
    for r in resources {
        let mut line =
            vec![r.name.clone(), r.short.join(","), r.group_version(), r.namespaced.to_string(), r.kind.clone()];
        if wide {
            line.extend([r.verbs.join(","), r.categories.join(",")]);
        }
        tabs.line(line);
    }
    print!("{}", tabs.flush());
    Ok(())
}
