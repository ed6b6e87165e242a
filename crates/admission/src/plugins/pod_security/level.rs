//! Levels, their versions, and what a namespace's labels say of them (upstream: `pod-security-admission/api`).

use std::fmt;

use meta::Object;
use meta::field::{Error, Errors, Path};

/// What every label of a namespace begins with that this is about.
const PREFIX: &str = "pod-security.kubernetes.io/";

/// How much a pod may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything.
    Privileged,
    /// What opens no known way to the node.
    Baseline,
    /// As little as a hardened pod needs.
    Restricted,
}

/// The levels by name, from the one that allows most.
const LEVELS: [(&str, Level); 3] =
    [("privileged", Level::Privileged), ("baseline", Level::Baseline), ("restricted", Level::Restricted)];

/// The version of a level: the minor version of Kubernetes that it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 1.N.
    Minor(u32),
    /// The newest that is known.
    Latest,
}

/// A level of a version, printed as `baseline:v1.30`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standard {
    /// The level.
    pub level: Level,
    /// Its version.
    pub version: Version,
}

/// What holds for a namespace's pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What violates it is refused.
    pub enforce: Standard,
    /// What violates it is noted.
    pub audit: Standard,
    /// Whoever violates it is warned.
    pub warn: Standard,
}

/// The three ways in which a policy holds, as labels and messages name them.
pub const MODES: [(&str, fn(&Policy) -> Standard); 3] =
    [("enforce", |policy| policy.enforce), ("audit", |policy| policy.audit), ("warn", |policy| policy.warn)];

impl Level {
    /// The level of that name.
    pub fn read(text: &str) -> Result<Self, String> {
        let known = LEVELS.iter().find(|(name, _)| *name == text).map(|(_, level)| *level);
        known.ok_or_else(|| format!("must be one of {}", LEVELS.map(|(name, _)| name).join(", ")))
    }

    fn name(self) -> &'static str {
        LEVELS.iter().find(|(_, level)| *level == self).map_or("", |(name, _)| name)
    }
}

impl Version {
    /// `latest`, or `v1.N`.
    pub fn read(text: &str) -> Result<Self, String> {
        let wrong = || r#"must be "latest" or "v1.x""#.to_owned();
        if text == "latest" {
            return Ok(Version::Latest);
        }
        let minor = text.strip_prefix("v1.").filter(|minor| minor.bytes().all(|b| b.is_ascii_digit()));
        let minor = minor.filter(|minor| *minor == "0" || !minor.starts_with('0')).ok_or_else(wrong)?;
        minor.parse().map(Version::Minor).map_err(|_| wrong())
    }
}

impl fmt::Display for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            Version::Latest => write!(f, "{}:latest", self.level.name()),
            Version::Minor(minor) => write!(f, "{}:v1.{minor}", self.level.name()),
        }
    }
}

impl Standard {
    /// Whether nothing depends on which of the two holds.
    fn is_like(self, other: Standard) -> bool {
        self.level == other.level && (self.level == Level::Privileged || self.version == other.version)
    }
}

impl Policy {
    /// Where nothing else is said, every pod may do everything.
    pub const OPEN: Policy = {
        let open = Standard { level: Level::Privileged, version: Version::Latest };
        Policy { enforce: open, audit: open, warn: open }
    };

    /// Whether it asks nothing of a pod.
    pub fn is_open(&self) -> bool {
        MODES.iter().all(|(_, of)| of(self).level == Level::Privileged)
    }

    /// Whether nothing depends on which of the two holds.
    pub fn is_like(&self, other: &Policy) -> bool {
        MODES.iter().all(|(_, of)| of(self).is_like(of(other)))
    }

    /// What a namespace's labels make of the defaults; with what is wrong with them. A level that cannot be read is the
    /// strictest where it is enforced, and none elsewhere.
    pub fn of(namespace: &Object, defaults: &Policy) -> (Policy, Errors) {
        let (mut policy, mut errors) = (*defaults, Errors::new());
        let mut reader = Reader { namespace, errors: &mut errors };
        let enforced = reader.standard("enforce", &mut policy.enforce, Level::Restricted);
        reader.standard("audit", &mut policy.audit, Level::Privileged);
        let warned = reader.label("warn").is_some();
        let versioned = reader.label("warn-version").is_some();
        reader.standard("warn", &mut policy.warn, Level::Privileged);
        // Whoever may be refused is warned first: also of the templates, which nobody refuses.
        if !warned && enforced && policy.enforce.level > policy.warn.level {
            policy.warn.level = policy.enforce.level;
            if !versioned {
                policy.warn.version = policy.enforce.version;
            }
        }
        (policy, errors)
    }

    /// What the namespace itself says of the policy, where it asks something of a pod: `enforce=baseline:latest, …`.
    pub fn said(&self, namespace: &Object) -> String {
        let says = |name: &str| label(namespace, name).is_some();
        let modes = MODES.iter().filter(|(mode, of)| {
            of(self).level != Level::Privileged && (says(mode) || says(&format!("{mode}-version")))
        });
        modes.map(|(mode, of)| format!("{mode}={}", of(self))).collect::<Vec<_>>().join(", ")
    }
}

/// One of the namespace's labels.
fn label<'a>(namespace: &'a Object, name: &str) -> Option<&'a str> {
    namespace.labels().find(|(key, _)| key.strip_prefix(PREFIX) == Some(name)).map(|(_, value)| value)
}

/// Reads labels, and notes what is wrong with them.
struct Reader<'a> {
    namespace: &'a Object,
    errors: &'a mut Errors,
}

impl<'a> Reader<'a> {
    fn label(&self, name: &str) -> Option<&'a str> {
        label(self.namespace, name)
    }

    /// Level and version of a mode. Returns whether there is a level that could be read.
    fn standard(&mut self, mode: &str, standard: &mut Standard, broken: Level) -> bool {
        let level = self.label(mode).map(|text| self.noted(mode, text, Level::read(text)));
        standard.level = level.map_or(standard.level, |level| level.unwrap_or(broken));
        let name = format!("{mode}-version");
        let version = self.label(&name).map(|text| self.noted(&name, text, Version::read(text)));
        standard.version = version.map_or(standard.version, |version| version.unwrap_or(Version::Latest));
        level.flatten().is_some()
    }

    fn noted<T>(&mut self, name: &str, text: &str, read: Result<T, String>) -> Option<T> {
        let path = Path::new("metadata").child("labels").key(&format!("{PREFIX}{name}"));
        read.map_err(|why| self.errors.push(Error::invalid(&path, text, why))).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(labels: &[(&str, &str)]) -> (String, usize) {
        let labels: serde_json::Map<String, Value> =
            labels.iter().map(|(name, value)| (format!("{PREFIX}{name}"), json!(value))).collect();
        let namespace = Object::from_value(json!({"metadata": {"labels": labels}})).expect("an object");
        let (policy, errors) = Policy::of(&namespace, &Policy::OPEN);
        (MODES.map(|(_, of)| of(&policy).to_string()).join(" "), errors.len())
    }

    #[test]
    fn labels_say_what_holds_as_upstream_reads_them() {
        const OPEN: &str = "privileged:latest";
        for (labels, want, errors) in [
            (&[][..], format!("{OPEN} {OPEN} {OPEN}"), 0),
            (&[("enforce", "baseline")], format!("baseline:latest {OPEN} baseline:latest"), 0),
            (&[("enforce", "baseline"), ("warn", "restricted")], format!("baseline:latest {OPEN} restricted:latest"), 0),
            (&[("enforce", "baseline"), ("enforce-version", "v1.22")], format!("baseline:v1.22 {OPEN} baseline:v1.22"), 0),
            (
                &[("enforce", "baseline"), ("enforce-version", "v1.22"), ("warn-version", "latest")],
                format!("baseline:v1.22 {OPEN} baseline:latest"),
                0,
            ),
            (&[("enforce", "baseline"), ("warn", "privileged")], format!("baseline:latest {OPEN} {OPEN}"), 0),
            (&[("enforce", "baseline"), ("warn", "foo")], format!("baseline:latest {OPEN} {OPEN}"), 1),
            (&[("enforce", "foo")], format!("restricted:latest {OPEN} {OPEN}"), 1),
            (&[("audit", "foo"), ("audit-version", "v1.01")], format!("{OPEN} {OPEN} {OPEN}"), 2),
            (&[("enforce", "restricted"), ("enforce-version", "v2.1")], format!("restricted:latest {OPEN} restricted:latest"), 1),
        ] {
            assert_eq!(read(labels), (want, errors), "{labels:?}");
        }
    }
}
