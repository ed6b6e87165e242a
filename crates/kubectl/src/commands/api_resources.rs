//! `kubectl api-resources`.

use clap::{ArgMatches, Command};
use futures::FutureExt;

use super::Member;
use crate::discovery::Resource;
use crate::failure::Failure;
use crate::flags::{self, on, rest, several, switch, text, value, values};
use crate::print::Tabs;
use crate::session::Session;

pub const MEMBER: Member = Member { command, run: |session, matches| run(session, matches).boxed() };

fn command() -> Command {
    Command::new("api-resources")
        .about("Print the supported API resources on the server")
        .arg(rest("other"))
        .arg(switch("no-headers", false, "Without the line of headers"))
        .arg(text("output", "wide or name").short('o'))
        .arg(text("api-group", "Only resources of this group"))
        .arg(several("verbs", "Only resources with these verbs").value_delimiter(','))
        .arg(several("categories", "Only resources in these categories").value_delimiter(','))
        .arg(text("sort-by", "name or kind"))
        .arg(switch("cached", false, "Nothing is cached: always what the server has"))
        .arg(switch("namespaced", true, "Only resources in namespaces; false: only others"))
}

async fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let sort = value(matches, "sort-by").unwrap_or("");
    let extra = values(matches, "other");
    if !extra.is_empty() {
        return Err(flags::misused("api-resources", format!("unexpected arguments: [{}]", extra.join(" "))));
    }
    if !matches!(sort, "" | "name" | "kind") {
        return Err(Failure::message("--sort-by accepts only name or kind"));
    }
    let output = value(matches, "output").unwrap_or("");
    if !matches!(output, "" | "wide" | "name") {
        return Err(Failure::message(format!(
            "unable to match a printer suitable for the output format \"{output}\", allowed formats are: name,wide"
        )));
    }
    let group = value(matches, "api-group");
    let given = matches.value_source("namespaced") == Some(clap::parser::ValueSource::CommandLine);
    let namespaced = given.then(|| on(matches, "namespaced"));
    let has = |wanted: &str, own: &[String]| values(matches, wanted).iter().all(|w| own.contains(w));
    let fits = |r: &&Resource| {
        r.preferred
            && !r.verbs.is_empty()
            && group.is_none_or(|g| g == r.group)
            && namespaced.is_none_or(|n| n == r.namespaced)
            && has("verbs", &r.verbs)
            && has("categories", &r.categories)
    };
    let mut found: Vec<&Resource> = session.discovery().await?.resources.iter().filter(fits).collect();
    match sort {
        "name" => found.sort_by_key(|r| &r.name),
        "kind" => found.sort_by_key(|r| (&r.kind, &r.name)),
        _ => found.sort_by_key(|r| (&r.group, &r.name)),
    }
    if output == "name" {
        found.iter().for_each(|r| println!("{}", r.plural_label()));
        return Ok(());
    }
    let wide = output == "wide";
    let mut tabs = Tabs::new();
    if !on(matches, "no-headers") {
        let headers = ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND", "VERBS", "CATEGORIES"];
        tabs.line(headers.into_iter().take(if wide { 7 } else { 5 }));
    }
    for r in found {
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
