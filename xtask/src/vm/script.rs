//! The tests: files of `tests/vm`, with what each needs in its first lines. Pure but for reading them.

use std::path::Path;

use anyhow::{Context, Result, bail};

/// Where they are.
pub(super) const FOLDER: &str = "tests/vm";
/// Machines side by side, at most: each is a process that wants a processor.
const MOST_MACHINES: usize = 3;

/// One test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Script {
    /// Name of its file, without `.sh`.
    pub(super) name: String,
    /// What it shows: its first comment line.
    pub(super) about: String,
    /// Machines (`# machines: 2`).
    pub(super) machines: usize,
    /// Seconds that it takes on two cores, the boot included (`# seconds: 90`).
    pub(super) seconds: u64,
    /// Debian's packages that it needs beside the common ones (`# packages: quota dmsetup`).
    pub(super) packages: Vec<String>,
    /// Whether it runs our program (`# needs: ironclad`).
    pub(super) ironclad: bool,
    /// Whether it runs containers, of the cluster test's images (`# needs: ironclad images`).
    pub(super) images: bool,
}

impl Script {
    /// All tests, by name.
    pub(super) fn all(root: &Path) -> Result<Vec<Script>> {
        let folder = root.join(FOLDER);
        let mut all = Vec::new();
        for entry in std::fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "sh") {
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
                all.push(Script::parse(&name, &text).with_context(|| format!("{}", path.display()))?);
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// Reads the comments before the first command.
    fn parse(name: &str, text: &str) -> Result<Script> {
        let mut comments = text.lines().skip(1).map_while(|line| line.strip_prefix("# "));
        let mut script = Script {
            name: name.to_owned(),
            about: comments.next().unwrap_or_default().to_owned(),
            machines: 1,
            seconds: 0,
            packages: Vec::new(),
            ironclad: false,
            images: false,
        };
        for line in comments {
            // Any other line says more about it.
            let Some((key, value)) = line.split_once(": ").filter(|(key, _)| !key.contains(' ')) else { continue };
            let words = value.split_whitespace();
            match key {
                "machines" => script.machines = value.trim().parse().context("machines")?,
                "seconds" => script.seconds = value.trim().parse().context("seconds")?,
                "packages" => script.packages = words.map(str::to_owned).collect(),
                "needs" => {
                    for word in words {
                        match word {
                            "ironclad" => script.ironclad = true,
                            "images" => script.images = true,
                            other => bail!("it needs {other:?}: there are ironclad and images"),
                        }
                    }
                }
                other => bail!("there is no {other:?}: there are machines, seconds, packages and needs"),
            }
        }
        if script.seconds == 0 || script.about.is_empty() {
            bail!("its first comments say what it shows, and `# seconds: N`");
        }
        if !(1..=MOST_MACHINES).contains(&script.machines) {
            bail!("machines: 1 to {MOST_MACHINES}");
        }
        Ok(script)
    }
}

/// Those that are named, or all.
pub(super) fn named(all: &[Script], names: &[String]) -> Result<Vec<Script>> {
    if names.is_empty() {
        return Ok(all.to_vec());
    }
    let known = || all.iter().map(|test| test.name.as_str()).collect::<Vec<_>>().join(", ");
    let find = |name: &String| {
        let test = all.iter().find(|test| test.name == *name).cloned();
        test.with_context(|| format!("there is no test {name:?}, there are {}", known()))
    };
    names.iter().map(find).collect()
}

/// The tests of a turn: the one at the seed's place, and those after it as long as there is time. As seeds count up,
/// each test comes first once in as many turns as there are tests.
pub(super) fn turn(all: &[Script], seed: u64, seconds: u64, most: usize) -> Vec<Script> {
    let places = u64::try_from(all.len()).unwrap_or(u64::MAX).max(1);
    let start = usize::try_from(seed % places).unwrap_or(0);
    let mut left = seconds;
    let mut chosen = Vec::new();
    for test in all.iter().cycle().skip(start).take(all.len()) {
        let fits = test.seconds <= left;
        // The first one comes whatever it takes: no test waits for a turn that never is.
        if chosen.is_empty() || (fits && chosen.len() < most) {
            left = left.saturating_sub(test.seconds);
            chosen.push(test.clone());
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(name: &str, seconds: u64) -> Script {
        Script::parse(name, &format!("#!/usr/bin/env bash\n# It: shows.\n# seconds: {seconds}\ntrue\n")).unwrap()
    }

    #[test]
    fn what_a_test_needs_stands_in_its_first_lines() {
        let text = "#!/usr/bin/env bash\n# Two of them: see each other.\n# And more.\n# machines: 2\n# seconds: 90\n\
            # packages: quota dmsetup\n# needs: ironclad images\nsource x\n# machines: 9\n";
        let expected = Script {
            name: "two".to_owned(),
            about: "Two of them: see each other.".to_owned(),
            machines: 2,
            seconds: 90,
            packages: vec!["quota".to_owned(), "dmsetup".to_owned()],
            ironclad: true,
            images: true,
        };
        assert_eq!(Script::parse("two", text).unwrap(), expected);
    }

    #[test]
    fn a_bad_header_is_refused() {
        let refused = |lines: &str| Script::parse("x", &format!("#!/bin/bash\n# It.\n{lines}true\n")).unwrap_err();
        assert!(format!("{:#}", refused("")).contains("seconds: N"));
        assert!(format!("{:#}", refused("# seconds: soon\n")).contains("seconds"));
        assert!(format!("{:#}", refused("# seconds: 9\n# machines: 4\n")).contains("1 to 3"));
        assert!(format!("{:#}", refused("# seconds: 9\n# needs: kvm\n")).contains("kvm"));
        assert!(format!("{:#}", refused("# seconds: 9\n# memory: 9\n")).contains("memory"));
    }

    #[test]
    fn every_test_has_its_turn_and_a_turn_ends_in_time() {
        let all = [test("a", 100), test("b", 300), test("c", 30), test("d", 60), test("e", 60)];
        let names = |seed| turn(&all, seed, 240, 2).iter().map(|t| t.name.clone()).collect::<String>();
        assert_eq!([0, 1, 2, 3, 4, 5].map(names), ["ac", "b", "cd", "de", "ea", "ac"]);
        assert!(turn(&[], 7, 240, 2).is_empty());
    }

    #[test]
    fn the_tests_of_this_folder_can_be_read() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let all = Script::all(root).unwrap();
        assert!(all.len() > 3 && all.iter().all(|test| test.seconds <= 600), "{all:?}");
        assert_eq!(named(&all, &[all[1].name.clone()]).unwrap(), [all[1].clone()]);
        assert!(named(&all, &["none".to_owned()]).is_err());
    }
}
