//! How a command fails, and what upstream prints then.

use serde_json::Value;

/// Why a command ends with an exit code other than zero.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// The server refused; the value is its `Status`.
    #[error("{}", .0["message"].as_str().unwrap_or("unknown"))]
    Refused(Box<Value>),
    /// Found by the command itself; printed with `error: ` before it.
    #[error("{0}")]
    Message(String),
    /// A text that is printed as it is.
    #[error("{0}")]
    Text(String),
    /// The exit code of a remote command, all output already done.
    #[error("command terminated with exit code {0}")]
    Code(i32),
    /// Several failures, each reported in its turn.
    #[error("{} failures", .0.len())]
    Many(Vec<Failure>),
}

impl Failure {
    /// A failure with a message.
    pub fn message(text: impl Into<String>) -> Failure {
        Failure::Message(text.into())
    }

    /// Whether the server says that the object is not there.
    pub fn is_not_found(&self) -> bool {
        self.reason() == "NotFound"
    }

    /// The machine-readable reason of a refusal.
    pub fn reason(&self) -> &str {
        match self {
            Failure::Refused(status) => status["reason"].as_str().unwrap_or(""),
            _ => "",
        }
    }

    /// Names what was done to which file: `error when creating "x.yaml": …`.
    pub fn when(self, doing: &str, source: &str) -> Failure {
        let prefix = format!("error when {doing} \"{source}\": ");
        match self {
            Failure::Refused(mut status) => {
                status["message"] = Value::from(format!("{prefix}{}", status["message"].as_str().unwrap_or("")));
                Failure::Refused(status)
            }
            Failure::Message(text) => Failure::Message(format!("{prefix}{text}")),
            other => other,
        }
    }

    /// One failure out of many; `Ok` if there are none.
    pub fn collect(mut failures: Vec<Failure>) -> Result<(), Failure> {
        match failures.len() {
            0 => Ok(()),
            1 => Err(failures.remove(0)),
            _ => Err(Failure::Many(failures)),
        }
    }

    /// Prints it on stderr and returns the exit code.
    pub fn report(&self) -> i32 {
        match self {
            Failure::Code(code) => {
                eprintln!("{self}");
                return *code;
            }
            Failure::Many(all) => return all.iter().map(Failure::report).max().unwrap_or(1),
            Failure::Text(text) => eprintln!("{text}"),
            Failure::Message(text) if text.starts_with("error: ") => eprintln!("{text}"),
            Failure::Message(text) => eprintln!("error: {text}"),
            Failure::Refused(status) => eprintln!("{}", refusal(status)),
        }
        1
    }
}

/// `k8s.io/kubectl/pkg/cmd/util.checkErr`: a refusal for validity names the object and the causes.
fn refusal(status: &Value) -> String {
    let reason = status["reason"].as_str().unwrap_or("");
    let message = status["message"].as_str().unwrap_or("");
    match reason {
        "Invalid" => invalid(status, message),
        "Unauthorized" => format!("error: You must be logged in to the server ({})", message),
        "" => format!("Error from server: {message}"),
        _ => format!("Error from server ({reason}): {message}"),
    }
}

fn invalid(status: &Value, message: &str) -> String {
    let details = &status["details"];
    let (kind, name) = (details["kind"].as_str().unwrap_or(""), details["name"].as_str().unwrap_or(""));
    let causes: Vec<String> = details["causes"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|c| format!("{}: {}", c["field"].as_str().unwrap_or(""), c["message"].as_str().unwrap_or("")))
        .collect();
    let head = if !kind.is_empty() || !name.is_empty() {
        format!("The {kind} \"{name}\" is invalid")
    } else if causes.is_empty() {
        format!("The request is invalid: {message}")
    } else {
        "The request is invalid".to_owned()
    };
    match causes.as_slice() {
        [] => head,
        [one] => format!("{head}: {one}"),
        many => format!("{head}: \n{}", many.iter().map(|c| format!("* {c}")).collect::<Vec<_>>().join("\n")),
    }
}
