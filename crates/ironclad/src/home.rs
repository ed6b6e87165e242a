//! `~/.kube/config`: `up` puts the cluster into it under a context of its own, `down` takes it out. What else is in it
//! stays as it is, but for comments.
//!
//! What was put where is recorded in the data directory before it is done. The file is locked as client-go does
//! (`tools/clientcmd/config.go`), and a crash leaves the old one or the new one.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use schema::go_yaml::yaml;
use schema::yaml_to_json;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dirs::Dirs;
use crate::durable;

mod entries;

/// The context's name, unless another cluster has it.
const NAME: &str = "ironclad";
/// The record in the data directory.
const RECORD: &str = "kubeconfig.json";
/// A larger file is none of ours to rewrite.
const LARGEST: u64 = 1 << 20;
/// How long another program may hold the file.
const PATIENCE: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_millis(10);

/// What was put where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    path: PathBuf,
    context: String,
    /// Whether the file was not there before.
    made: bool,
}

/// What became of it.
#[derive(Debug, PartialEq)]
pub struct Merged {
    /// The name of the cluster, the user and the context in the file.
    pub context: String,
    /// Whether it is the one that clients use by themselves.
    pub is_current: bool,
}

/// The file of this user: none where nobody has a home.
pub fn file() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute() && home.parent().is_some())?;
    home.is_dir().then(|| home.join(".kube/config"))
}

/// Puts the cluster of `admin.conf` into the file.
pub fn put(dirs: &Dirs, path: &Path) -> Result<Merged> {
    let admin = parse(&dirs.kubeconfig())?.context("there is no admin.conf")?;
    let path = resolve(path);
    let parent = path.parent().context("a file lies in a directory")?;
    make_directory(parent).with_context(|| format!("create {}", parent.display()))?;
    let _lock = lock(&path)?;
    let before = parse(&path)?;
    let known = record(dirs).filter(|known| known.path == path);
    let (fallback, wanted) = (format!("{NAME}-{}", dirs.id), known.as_ref().map_or(NAME, |known| &known.context));
    let context = [wanted, NAME].into_iter().find(|name| entries::is_ours_or_free(before.as_ref(), name, &admin));
    let context = context.map_or(fallback, str::to_owned);
    let made = known.map_or(before.is_none(), |known| known.made);
    let ours = Record { path: path.clone(), context: context.clone(), made };
    if record(dirs).as_ref() != Some(&ours) {
        durable::replace(&dirs.data.join(RECORD), &ours)?;
    }
    let after = entries::with(before.clone(), &context, &admin)?;
    let is_current = after["current-context"] == context.as_str();
    if before.as_ref() != Some(&after) {
        replace(&path, &yaml(&after)).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(Merged { context, is_current })
}

/// Takes out what is recorded; says in words what that was.
pub fn take_out(dirs: &Dirs) -> Result<Option<String>> {
    let Some(Record { path, context, made }) = record(dirs) else { return Ok(None) };
    let done = take(dirs, &path, &context, made);
    let done = done.with_context(|| format!("take the context {context} out of {}", path.display()))?;
    fs::remove_file(dirs.data.join(RECORD)).context("remove the record of it")?;
    Ok(done.then(|| format!("context {context} in {}", path.display())))
}

fn take(dirs: &Dirs, path: &Path, context: &str, made: bool) -> Result<bool> {
    if !path.exists() {
        return Ok(false);
    }
    let admin = parse(&dirs.kubeconfig())?;
    let _lock = lock(path)?;
    let (Some(before), Some(admin)) = (parse(path)?, admin) else { return Ok(false) };
    if !entries::is_ours(&before, context, &admin) {
        return Ok(false);
    }
    let after = entries::without(before, context);
    match made && entries::is_empty(&after) {
        true => fs::remove_file(path)?,
        false => replace(path, &yaml(&after))?,
    }
    Ok(true)
}

fn record(dirs: &Dirs) -> Option<Record> {
    serde_json::from_slice(&fs::read(dirs.data.join(RECORD)).ok()?).ok()
}

/// The file itself, where the path is a link to it.
fn resolve(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// A file as a tree, if it is there.
fn parse(path: &Path) -> Result<Option<Value>> {
    let mut text = String::new();
    match File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_string(&mut text)) {
        Ok(read) if read as u64 > LARGEST => bail!("{} has more than {LARGEST} bytes", path.display()),
        Ok(_) => {}
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).with_context(|| format!("read {}", path.display())),
    }
    let tree = if text.trim().is_empty() { Value::Null } else {
        yaml_to_json(&text).map_err(|why| anyhow::anyhow!("{} is no kubeconfig: {why}", path.display()))?.0
    };
    match tree {
        Value::Null => Ok(Some(Value::Object(serde_json::Map::new()))),
        Value::Object(_) => Ok(Some(tree)),
        _ => bail!("{} is no kubeconfig", path.display()),
    }
}

/// `FILE.lock`, removed at the end.
struct Lock(PathBuf);

fn lock(path: &Path) -> Result<Lock> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let (lock, asked) = (PathBuf::from(name), Instant::now());
    loop {
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&lock) {
            Ok(_) => return Ok(Lock(lock)),
            Err(e) if e.kind() == ErrorKind::AlreadyExists && asked.elapsed() < PATIENCE => std::thread::sleep(AGAIN),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                bail!("another program writes {}; if none does, remove {}", path.display(), lock.display())
            }
            Err(e) => return Err(e).with_context(|| format!("create {}", lock.display())),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The directory, for whose home it is in.
fn make_directory(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir(path)?;
    let owner = path.parent().map_or_else(|| fs::metadata("/"), fs::metadata)?;
    std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid()))
}

/// Puts a text in place of a file, with the rights that it has, or for its directory's owner alone.
fn replace(path: &Path, text: &str) -> Result<()> {
    let temporary = path.with_extension("ironclad");
    let _ = fs::remove_file(&temporary);
    let (owner, mode) = match fs::metadata(path) {
        Ok(file) => (file.clone(), file.mode() & 0o777),
        Err(_) => (fs::metadata(path.parent().context("a file lies in a directory")?)?, 0o600),
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
    fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
    file.write_all(text.as_bytes())?;
    fs::rename(&temporary, path)?;
    Ok(())
}

#[cfg(test)]
mod tests;
