//! Reads the type declarations of a Go package: just enough for gofmt'd API types.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

/// One field of a struct.
#[derive(Clone, Debug, Default)]
pub struct Field {
    /// Type expression as written.
    pub ty: String,
    /// Name from the json tag; empty when inlined.
    pub json: String,
    pub inline: bool,
    pub omitempty: bool,
    pub omitzero: bool,
    /// Number from the protobuf tag.
    pub tag: Option<u32>,
    pub patch_strategy: String,
    pub patch_merge_key: String,
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub enum Decl {
    Struct(Vec<Field>),
    /// `type A B`: a type of its own.
    Named(String),
    /// `type A = B`: another name of the same type.
    Alias(String),
}

/// A declaration and the imports of its file (local name to import path).
#[derive(Clone, Debug)]
pub struct Declared {
    pub decl: Decl,
    /// Whether it is marked as an enumeration: its values are the constants of the type.
    pub is_enum: bool,
    pub imports: BTreeMap<String, String>,
}

/// A parsed package.
#[derive(Debug, Default)]
pub struct Package {
    /// The constant `GroupName`, if there is one.
    pub group: Option<String>,
    pub types: BTreeMap<String, Declared>,
    /// String constants of a named type: name, type, and the value as written, quoted or another constant.
    pub constants: Vec<(String, String, String)>,
}

impl Package {
    /// Parses the files of a directory that declare API types.
    pub fn read(dir: &Path) -> Result<Package> {
        let mut package = Package::default();
        for entry in std::fs::read_dir(dir).with_context(|| dir.display().to_string())? {
            let path = entry?.path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            let generated = name.contains("generated") || name.ends_with("_test.go");
            if name.ends_with(".go") && !generated {
                package.add_file(&std::fs::read_to_string(&path)?);
            }
        }
        Ok(package)
    }

    fn add_file(&mut self, text: &str) {
        let imports = imports(text);
        self.constants.extend(text.lines().filter_map(constant));
        let mut lines = text.lines();
        let mut is_enum = false;
        while let Some(line) = lines.next() {
            if line.starts_with("//") {
                is_enum |= line.trim_start_matches('/').trim() == "+enum";
                continue;
            }
            let is_enum = std::mem::take(&mut is_enum);
            if let Some(group) = line.strip_prefix("const GroupName = ") {
                self.group = Some(group.trim_matches('"').to_owned());
            }
            let Some(rest) = line.strip_prefix("type ") else { continue };
            let Some((name, ty)) = rest.split_once(' ') else { continue };
            let ty = ty.split("//").next().unwrap_or(ty).trim();
            let decl = match ty {
                "struct {" => Decl::Struct(fields(&mut lines)),
                "struct{}" => Decl::Struct(Vec::new()),
                _ if ty.starts_with("interface") || ty.starts_with("func") => continue,
                _ => match ty.strip_prefix("= ") {
                    Some(other) => Decl::Alias(other.to_owned()),
                    None => Decl::Named(ty.to_owned()),
                },
            };
            self.types.insert(name.to_owned(), Declared { decl, is_enum, imports: imports.clone() });
        }
    }
}

/// A constant: `Name Type = "value"` or `Name = Type("value")`, alone or in a block.
fn constant(line: &str) -> Option<(String, String, String)> {
    let line = line.strip_prefix("const ").or_else(|| line.strip_prefix('\t'))?;
    let (head, value) = line.split_once(" = ")?;
    let value = value.split("//").next()?.trim();
    let mut words = head.split_whitespace();
    let name = words.next()?;
    let (ty, value) = match words.next() {
        Some(ty) => (ty, value),
        None => value.strip_suffix(')')?.split_once('(')?,
    };
    words.next().is_none().then(|| (name.to_owned(), ty.to_owned(), value.to_owned()))
}

fn imports(text: &str) -> BTreeMap<String, String> {
    let block = text.split_once("import (").and_then(|(_, rest)| rest.split_once("\n)")).map_or("", |(block, _)| block);
    let single = text.lines().filter_map(|l| l.strip_prefix("import "));
    let mut found = BTreeMap::new();
    for line in block.lines().chain(single) {
        let mut words = line.split_whitespace();
        let (Some(first), second) = (words.next(), words.next()) else { continue };
        let path = second.filter(|s| s.starts_with('"')).unwrap_or(first).trim_matches('"');
        let name = if first.starts_with('"') { path.rsplit('/').next().unwrap_or(path) } else { first };
        found.insert(name.to_owned(), path.to_owned());
    }
    found
}

fn fields<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Vec<Field> {
    let mut found = Vec::new();
    for line in lines.by_ref() {
        if line == "}" {
            break;
        }
        let line = line.trim();
        if !line.starts_with("//") && !line.is_empty() {
            found.extend(field(line));
        }
    }
    found
}

fn field(line: &str) -> Option<Field> {
    let (head, rest) = line.split_once('`')?;
    let tags = rest.split('`').next()?;
    let mut words = head.split_whitespace();
    let first = words.next()?;
    let ty = words.collect::<Vec<_>>().join(" ");
    let json = tag(tags, "json");
    let mut parts = json.split(',');
    let name = parts.next().unwrap_or_default().to_owned();
    let options: Vec<&str> = parts.collect();
    let embedded = ty.is_empty();
    Some(Field {
        ty: if embedded { first.to_owned() } else { ty },
        inline: options.contains(&"inline") || (embedded && name.is_empty()),
        omitempty: options.contains(&"omitempty"),
        omitzero: options.contains(&"omitzero"),
        tag: tag(tags, "protobuf").split(',').nth(1).and_then(|t| t.parse().ok()),
        patch_strategy: tag(tags, "patchStrategy").to_owned(),
        patch_merge_key: tag(tags, "patchMergeKey").to_owned(),
        json: name,
    })
}

fn tag<'a>(tags: &'a str, key: &str) -> &'a str {
    let start = format!("{key}:\"");
    let Some(at) = tags.find(&start) else { return "" };
    tags[at + start.len()..].split('"').next().unwrap_or_default()
}
