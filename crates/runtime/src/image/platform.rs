//! Which of the machines that an image is built for this one is (containerd's `platforms` package: names, variants, and
//! what a machine runs beside its own).

use serde::{Deserialize, Serialize};

/// A machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Platform {
    /// Go's name.
    pub architecture: String,
    /// Go's name.
    pub os: String,
    /// What of the architecture it has; empty for the least.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

impl Platform {
    fn new(architecture: &str, variant: &str) -> Self {
        Self { architecture: architecture.to_owned(), os: "linux".to_owned(), variant: variant.to_owned() }
    }

    /// The same under the names that are compared.
    fn normal(&self) -> Self {
        let (name, variant) = (self.architecture.to_lowercase(), self.variant.to_lowercase());
        let (name, variant) = match (name.as_str(), variant.as_str()) {
            ("i386", _) => ("386", ""),
            ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
            ("x86_64" | "x86-64", variant) => ("amd64", variant),
            ("aarch64" | "arm64", "8" | "v8" | "v8.0") => ("arm64", ""),
            ("aarch64" | "arm64", "9" | "9.0" | "v9.0") => ("arm64", "v9"),
            ("aarch64", variant) => ("arm64", variant),
            ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
            ("armel", _) | ("arm", "6") => ("arm", "v6"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "8") => ("arm", "v8"),
            other => other,
        };
        let os = if self.os.is_empty() { "linux".to_owned() } else { self.os.to_lowercase() };
        Self { architecture: name.to_owned(), os, variant: variant.to_owned() }
    }

    /// What runs here, best first.
    fn runs(&self) -> Vec<Self> {
        let this = self.normal();
        let down = |name: &str, from: u8, to: u8| -> Vec<Self> {
            (to..=from).rev().map(|level| Self::new(name, &format!("v{level}")).normal()).collect()
        };
        let level = this.variant.trim_start_matches('v').parse().unwrap_or(0);
        match this.architecture.as_str() {
            "amd64" => [down("amd64", level.max(1), 1), vec![Self::new("386", "")]].concat(),
            "arm" if level > 5 => down("arm", level, 5),
            "arm64" => [arm64(&this.variant), down("arm", 8, 5)].concat(),
            _ => vec![this],
        }
    }

    /// How well an image for that machine fits this one: less is better; `None` where it does not run.
    pub(super) fn rank(&self, image: &Self) -> Option<usize> {
        let image = image.normal();
        self.runs().iter().position(|platform| *platform == image)
    }
}

/// All that a variant of arm64 runs: 9.x has what 8.(x+5) has.
fn arm64(variant: &str) -> Vec<Platform> {
    let (major, minor) = variant.trim_start_matches('v').split_once('.').unwrap_or((variant.trim_start_matches('v'), "0"));
    let minor: u8 = minor.parse().unwrap_or(0).min(9);
    let down = |major: u8, from: u8| {
        (0..=from).rev().map(move |minor| Platform::new("arm64", &format!("v{major}.{minor}")).tidy())
    };
    match major {
        "9" => down(9, minor).chain(down(8, (minor + 5).min(9))).collect(),
        _ => down(8, minor).collect(),
    }
}

impl Platform {
    /// `v8.0` is written without its zero, and then not at all.
    fn tidy(mut self) -> Self {
        if let Some(major) = self.variant.strip_suffix(".0") {
            self.variant = major.to_owned();
        }
        self.normal()
    }
}

/// This machine.
pub(super) fn here() -> Platform {
    match std::env::consts::ARCH {
        "x86_64" => Platform::new("amd64", level()),
        "x86" => Platform::new("386", ""),
        "aarch64" => Platform::new("arm64", "v8"),
        "powerpc64" if cfg!(target_endian = "little") => Platform::new("ppc64le", ""),
        "powerpc64" => Platform::new("ppc64", ""),
        "loongarch64" => Platform::new("loong64", ""),
        other => Platform::new(other, ""),
    }
}

/// The level of the x86-64 psABI that this processor has.
#[cfg(target_arch = "x86_64")]
fn level() -> &'static str {
    use std::arch::is_x86_feature_detected as has;
    let second = has!("cmpxchg16b") && has!("popcnt") && has!("sse3") && has!("ssse3") && has!("sse4.1") && has!("sse4.2");
    let third = has!("avx") && has!("avx2") && has!("bmi1") && has!("bmi2") && has!("f16c") && has!("fma")
        && has!("lzcnt") && has!("movbe") && has!("xsave");
    let fourth = has!("avx512f") && has!("avx512bw") && has!("avx512cd") && has!("avx512dq") && has!("avx512vl");
    match (second, third, fourth) {
        (true, true, true) => "v4",
        (true, true, false) => "v3",
        (true, false, _) => "v2",
        (false, ..) => "",
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn level() -> &'static str {
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Platform {
        let mut parts = text.split('/');
        let mut part = || parts.next().unwrap_or_default().to_owned();
        Platform { os: part(), architecture: part(), variant: part() }
    }

    /// What runs on a machine, of all these, best first.
    fn order(machine: &str, images: &[&'static str]) -> Vec<&'static str> {
        let machine = of(machine);
        let mut fit: Vec<_> = images.iter().filter_map(|text| Some((machine.rank(&of(text))?, *text))).collect();
        fit.sort_by_key(|(rank, _)| *rank);
        fit.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn variants_are_containerds() {
        let amd = ["linux/386", "linux/amd64", "linux/amd64/v2", "linux/amd64/v3", "linux/amd64/v4", "linux/arm64", "windows/amd64", "unknown/unknown"];
        assert_eq!(order("linux/amd64", &amd), ["linux/amd64", "linux/386"]);
        assert_eq!(order("linux/amd64/v3", &amd), ["linux/amd64/v3", "linux/amd64/v2", "linux/amd64", "linux/386"]);
        let arm = ["linux/arm/v5", "linux/arm/v6", "linux/arm", "linux/arm/v8", "linux/arm64/v8", "linux/arm64/v8.2", "linux/arm64/v9", "linux/amd64"];
        assert_eq!(order("linux/arm/v7", &arm), ["linux/arm", "linux/arm/v6", "linux/arm/v5"]);
        assert_eq!(order("linux/arm64", &arm), ["linux/arm64/v8", "linux/arm/v8", "linux/arm", "linux/arm/v6", "linux/arm/v5"]);
        assert_eq!(order("linux/arm64/v8.3", &arm)[..2], ["linux/arm64/v8.2", "linux/arm64/v8"]);
        assert_eq!(order("linux/arm64/v9", &arm)[..3], ["linux/arm64/v9", "linux/arm64/v8.2", "linux/arm64/v8"]);
    }

    #[test]
    fn names_are_gos() {
        for (name, same) in [
            ("linux/x86_64", "linux/amd64"),
            ("linux/amd64/v1", "linux/amd64"),
            ("Linux/AARCH64/8", "linux/arm64"),
            ("linux/armhf", "linux/arm/v7"),
            ("/i386/v9", "linux/386"),
        ] {
            assert_eq!(of(name).normal(), of(same).normal(), "{name}");
        }
        assert_eq!(here().rank(&here()), Some(0));
    }
}
