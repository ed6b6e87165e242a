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
        let (text, code) = match self {
            Failure::Code(code) => (self.to_string(), *code),
            Failure::Many(all) => return several(all),
            Failure::Refused(status) if status["reason"] == "Invalid" => (invalid(status), 1),
            Failure::Message(text) if text.starts_with("error: ") => (text.clone(), 1),
            Failure::Message(text) => (format!("error: {text}"), 1),
            other => (other.line(), 1),
        };
        eprint!("{text}{}", if text.ends_with('\n') { "" } else { "\n" });
        code
    }

    /// How it is told as one of several.
    fn line(&self) -> String {
        match self {
            Failure::Refused(status) => refusal(status),
            other => other.to_string(),
        }
    }
}

fn several(all: &[Failure]) -> i32 {
    if let [one] = all {
        return one.report();
    }
    all.iter().for_each(|failure| eprintln!("{}", failure.line()));
    1
}

/// `k8s.io/kubectl/pkg/cmd/util.StandardErrorMessage`.
fn refusal(status: &Value) -> String {
    let reason = status["reason"].as_str().unwrap_or("");
    let message = status["message"].as_str().unwrap_or("");
    match reason {
        "Unauthorized" => format!("error: You must be logged in to the server ({message})"),
        "" => format!("Error from server: {message}"),
        _ => format!("Error from server ({reason}): {message}"),
    }
}

/// `k8s.io/kubectl/pkg/cmd/util.checkErr`: a refusal for validity names the object and the causes.
fn invalid(status: &Value) -> String {
    let message = status["message"].as_str().unwrap_or("");
    let details = &status["details"];
    let (kind, name) = (details["kind"].as_str().unwrap_or(""), details["name"].as_str().unwrap_or(""));
    let mut causes: Vec<String> = Vec::new();
    for cause in details["causes"].as_array().into_iter().flatten() {
        let text = |field: &str| cause[field].as_str().unwrap_or("").to_owned();
        let line = format!("{}: {}", text("field"), text("message"));
        if !causes.contains(&line) {
            causes.push(line);
        }
    }
    let head = if !kind.is_empty() || !name.is_empty() {
        format!("The {kind} \"{name}\" is invalid")
    } else if causes.is_empty() && !message.is_empty() {
        format!("The request is invalid: {message}")
    } else {
        "The request is invalid".to_owned()
    };
    match causes.as_slice() {
        [] => head,
        [one] => format!("{head}: {one}\n"),
        many => format!("{head}: \n{}", many.iter().map(|c| format!("* {c}\n")).collect::<String>()),
    }
}
