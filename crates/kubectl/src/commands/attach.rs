//! `kubectl attach`: this side's streams at a container that runs.

use clap::{ArgMatches, Command};
use futures::FutureExt;

use super::Member;
use crate::attaching::Attaching;
use crate::detaching;
use crate::failure::Failure;
use crate::flags::{on, rest, switch, text, value, values};
use crate::pods;
use crate::session::Session;

pub const MEMBER: Member = Member { command, run: |session, matches| run(session, matches).boxed() };

fn command() -> Command {
    Command::new("attach")
        .about("Attach to a running container")
        .arg(rest("pod"))
        .arg(text("container", "The container").short('c'))
        .arg(switch("stdin", false, "Pass stdin to the container").short('i'))
        .arg(switch("tty", false, "Stdin is a terminal").short('t'))
        .arg(text("detach-keys", "Keys that leave a container's terminal").default_value(detaching::DEFAULT))
        .arg(switch("quiet", false, "Only the container's output").short('q'))
}

async fn run(session: &Session, matches: &ArgMatches) -> Result<(), Failure> {
    let words = values(matches, "pod");
    let word = match words.as_slice() {
        [] => return Err(Failure::message("at least 1 argument is required for attach")),
        [one] => one.clone(),
        [sort, name] => format!("{sort}/{name}"),
        many => {
            return Err(Failure::message(format!(
                "expected POD, TYPE/NAME, or TYPE NAME, (at most 2 arguments) saw {}: [{}]",
                many.len(),
                many.join(" ")
            )));
        }
    };
    let object = pods::named(session, &word).await?;
    let pod = pods::first_of(session, object, "attach to", false).await?;
    let phase = pod["status"]["phase"].as_str().unwrap_or("");
    if phase == "Succeeded" || phase == "Failed" {
        return Err(Failure::message(format!(
            "cannot attach a container in a completed pod; current phase is {phase}"
        )));
    }
    let attaching = Attaching {
        stdin: on(matches, "stdin"),
        tty: on(matches, "tty"),
        quiet: on(matches, "quiet"),
        detach_keys: value(matches, "detach-keys").unwrap_or_default().to_owned(),
    };
    let given = value(matches, "container").filter(|c| !c.is_empty());
    let container = pods::container(&pod, given, attaching.quiet);
    let container = container.map_err(|e| Failure::message(format!("cannot attach to the container: {e}")))?;
    attaching.run(session, &pod, container.name).await
}
