//! `--from-file`, `--from-literal` and `--from-env-file`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use clap::{ArgMatches, Command};

use crate::failure::Failure;
use crate::flags::{several, values};

/// Keys and their contents.
pub type Data = BTreeMap<String, Vec<u8>>;

/// Adds the flags.
pub fn flags(command: Command) -> Command {
    command
        .arg(several("from-file", "A file, a directory of files, or key=file"))
        .arg(several("from-literal", "key=value"))
        .arg(several("from-env-file", "A file with lines of key=value"))
}

/// Reads what the flags name.
pub fn read(matches: &ArgMatches) -> Result<Data, Failure> {
    let (files, literals, lines) =
        (values(matches, "from-file"), values(matches, "from-literal"), values(matches, "from-env-file"));
    if !lines.is_empty() && !(files.is_empty() && literals.is_empty()) {
        return Err(Failure::message("from-env-file cannot be combined with from-file or from-literal"));
    }
    let mut data = Data::new();
    for source in files {
        of_files(&source, &mut data)?;
    }
    for source in literals {
        let Some((key, value)) = source.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(Failure::message(format!("invalid literal source {source}, expected key=value")));
        };
        let quoted = ['"', '\''].iter().find(|q| value.len() > 1 && value.starts_with(**q) && value.ends_with(**q));
        let value = if quoted.is_some() { &value[1..value.len() - 1] } else { value };
        add(key, value.as_bytes().to_vec(), &mut data)?;
    }
    for source in lines {
        of_lines(&source, &mut data)?;
    }
    Ok(data)
}

fn of_files(source: &str, data: &mut Data) -> Result<(), Failure> {
    let (key, path) = match source.split('=').collect::<Vec<_>>().as_slice() {
        [path] => (path.rsplit('/').next().unwrap_or(path).to_owned(), (*path).to_owned()),
        ["", path] => return Err(Failure::message(format!("key name for file path {path} missing"))),
        [key, ""] => return Err(Failure::message(format!("file path for key name {key} missing"))),
        [key, path] => ((*key).to_owned(), (*path).to_owned()),
        _ => return Err(Failure::message("key names or file paths cannot contain '='")),
    };
    let meta = fs::metadata(&path).map_err(|e| unreadable(&path, &e))?;
    if !meta.is_dir() {
        return add(&key, fs::read(&path).map_err(|e| unreadable(&path, &e))?, data);
    }
    if source.contains('=') {
        return Err(Failure::message("cannot give a key name for a directory path"));
    }
    let entries = fs::read_dir(&path).map_err(|e| unreadable(&path, &e))?;
    let mut files: Vec<_> = entries.filter_map(Result::ok).filter(|e| e.path().is_file()).map(|e| e.path()).collect();
    files.sort();
    for file in files {
        let key = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        add(&key, fs::read(&file).map_err(|e| unreadable(&file.display().to_string(), &e))?, data)?;
    }
    Ok(())
}

fn of_lines(source: &str, data: &mut Data) -> Result<(), Failure> {
    if Path::new(source).is_dir() {
        return Err(Failure::message("env config file cannot be a directory"));
    }
    let content = fs::read_to_string(source).map_err(|e| unreadable(source, &e))?;
    for line in content.trim_start_matches('\u{feff}').lines().map(str::trim_start) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // A name alone takes its value from the environment, if it has one.
        match line.split_once('=') {
            Some((key, value)) => add(key, value.as_bytes().to_vec(), data)?,
            None => match std::env::var(line) {
                Ok(value) => add(line, value.into_bytes(), data)?,
                Err(_) => {}
            },
        }
    }
    Ok(())
}

fn unreadable(path: &str, error: &std::io::Error) -> Failure {
    let why = match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    };
    Failure::message(format!("error reading {path}: {why}"))
}

fn add(key: &str, value: Vec<u8>, data: &mut Data) -> Result<(), Failure> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if key.is_empty() || !key.chars().all(fits) {
        return Err(Failure::message(format!(
            "\"{key}\" is not a valid key name for a ConfigMap: a valid config key must consist of alphanumeric characters, \
             '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
        )));
    }
    match data.insert(key.to_owned(), value) {
        None => Ok(()),
        Some(_) => Err(Failure::message(format!("cannot add key \"{key}\", another key by that name already exists in Data"))),
    }
}
