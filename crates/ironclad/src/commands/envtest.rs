//! `ironclad envtest DIR`: the programs that envtest of controller-runtime looks for, as links to this one.

use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Arg, ArgMatches, value_parser};

use super::Command;

pub(super) const COMMAND: Command = Command { definition, run };

/// What envtest starts (`KUBEBUILDER_ASSETS`).
const PROGRAMS: &[&str] = &["etcd", "kube-apiserver", "kubectl"];

fn definition() -> clap::Command {
    let directory = Arg::new("directory").value_name("DIR").required(true).value_parser(value_parser!(PathBuf));
    clap::Command::new("envtest")
        .about("Write links to this program as etcd, kube-apiserver and kubectl, for envtest of controller-runtime")
        .arg(directory.help("Where; tests find them by KUBEBUILDER_ASSETS=DIR"))
}

fn run(matches: &ArgMatches) -> Result<()> {
    let Some(directory) = matches.get_one::<PathBuf>("directory") else { bail!("DIR is missing") };
    let program = std::env::current_exe().context("find this program")?;
    link(directory, &program)?;
    let directory = directory.canonicalize().with_context(|| format!("read {}", directory.display()))?;
    crate::out::line(format_args!("export KUBEBUILDER_ASSETS={}", directory.display()));
    Ok(())
}

/// Links are made anew; what is no link is somebody else's program, and stays.
fn link(directory: &Path, program: &Path) -> Result<()> {
    std::fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
    for name in PROGRAMS {
        let path = directory.join(name);
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_symlink() => std::fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?,
            Ok(_) => bail!("{} is there and no link: name another directory", path.display()),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        }
        symlink(program, &path).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_renewed_and_programs_of_others_stay() {
        let directory = tempfile::tempdir().expect("a directory");
        let assets = directory.path().join("a/b");
        link(&assets, Path::new("/old")).expect("links");
        link(&assets, Path::new("/new")).expect("links again");
        for name in PROGRAMS {
            assert_eq!(std::fs::read_link(assets.join(name)).expect("a link"), Path::new("/new"));
        }
        std::fs::remove_file(assets.join("etcd")).expect("removes");
        std::fs::write(assets.join("etcd"), "etcd").expect("writes");
        assert!(link(&assets, Path::new("/new")).is_err());
        assert_eq!(std::fs::read(assets.join("etcd")).expect("reads"), b"etcd");
    }
}
