//! `kubectl create deployment`.

use clap::{Arg, Command};
use serde_json::{Value, json};

use super::{Kind, Made};
use crate::failure::Failure;
use crate::flags::{number, number_of, rest, several, values};

pub(super) const KIND: Kind = Kind {
    command: || {
        Command::new("deployment")
            .visible_alias("deploy")
            .about("Create a deployment with the specified name")
            .arg(rest("name"))
            .arg(several("image", "The image of a container").required(true).value_delimiter(','))
            .arg(number("port", "The port that the container listens at").default_value("-1"))
            .arg(number("replicas", "The number of pods").short('r').default_value("1"))
            .arg(Arg::new("command").last(true).num_args(0..).allow_hyphen_values(true))
    },
    make: |name, matches| {
        let (images, command) = (values(matches, "image"), values(matches, "command"));
        if images.len() > 1 && !command.is_empty() {
            return Err(Failure::message("cannot specify multiple --image options and command"));
        }
        let mut containers: Vec<Value> = images.iter().map(|i| container(i, &command)).collect();
        let port = number_of(matches, "port").filter(|port| *port >= 0);
        if let (Some(port), Some(first)) = (port, containers.first_mut()) {
            first["ports"] = json!([{"containerPort": port}]);
        }
        let labels = json!({"app": name});
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "replicas": number_of(matches, "replicas").unwrap_or(1),
                "selector": {"matchLabels": labels},
                "strategy": {},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
            },
            "status": {},
        });
        Ok(Made { resource: "deployments.apps", object, refused: "failed to create deployment: ".to_owned() })
    },
};

/// A container named after its image, without registry, tag and digest.
fn container(image: &str, command: &[String]) -> Value {
    let name = image.rsplit('/').next().unwrap_or(image).split([':', '@']).next().unwrap_or("");
    let plain: String = name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let mut container = json!({"name": plain.trim_matches('-'), "image": image, "resources": {}});
    if !command.is_empty() {
        container["command"] = json!(command);
    }
    container
}
