//! All packages of the API together, and what a Go type expression means in them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::go::{Decl, Declared, Field, Package};
use super::proto::{self, Messages};
use super::upstream::Modules;

/// A package, known by its import path.
pub struct Entry {
    /// `core.v1`: the name in the table.
    pub short: String,
    /// `io.k8s.api.core.v1`: the prefix of its OpenAPI definitions.
    pub prefix: String,
    /// `v1`: how Go prints it.
    pub version: String,
    pub package: Package,
    pub messages: Messages,
}

impl Entry {
    /// A reference to a type of this package, from the same package or from another.
    fn reference(&self, at_home: bool, name: &str) -> String {
        if at_home { format!("@{name}") } else { format!("@{}.{name}", self.short) }
    }
}

/// One JSON field of a struct, which may be declared in a struct that is inlined.
pub struct Flat {
    pub field: Field,
    /// Protobuf numbers of the inlined structs around it, outermost first.
    pub via: Vec<u32>,
    /// Names of these structs.
    pub embedded: Vec<String>,
    /// Where it is declared.
    pub path: String,
    pub declared: Declared,
}

/// Every package by import path.
pub struct Universe(pub BTreeMap<String, Entry>);

/// Types whose JSON form is not that of a struct: import path, name, letter in the table.
const SPECIAL: [(&str, &str, &str); 14] = [
    ("k8s.io/apimachinery/pkg/apis/meta/v1", "Time", "T"),
    ("k8s.io/apimachinery/pkg/apis/meta/v1", "MicroTime", "M"),
    ("k8s.io/apimachinery/pkg/apis/meta/v1", "FieldsV1", "V"),
    ("k8s.io/apimachinery/pkg/api/resource", "Quantity", "Q"),
    ("k8s.io/apimachinery/pkg/util/intstr", "IntOrString", "I"),
    ("k8s.io/apimachinery/pkg/runtime", "RawExtension", "R"),
    ("k8s.io/apimachinery/pkg/types", "UID", "s:types.UID"),
    ("k8s.io/apimachinery/pkg/types", "NodeName", "s:types.NodeName"),
    ("k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1", "JSON", "J"),
    ("k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1", "JSONSchemaPropsOrArray", "A@JSONSchemaProps"),
    ("k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1", "JSONSchemaPropsOrBool", "O@JSONSchemaProps"),
    ("k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1", "JSONSchemaPropsOrStringArray", "S@JSONSchemaProps"),
    ("", "interface{}", "J"),
    ("", "[]byte", "y"),
];

/// Go's own types and their letters in the table.
const BASIC: [(&str, &str); 7] =
    [("string", "s"), ("bool", "b"), ("int32", "i"), ("int64", "l"), ("int", "n"), ("float64", "f"), ("float32", "f")];

impl Universe {
    /// Reads every package that declares API types.
    pub fn read(modules: &Modules) -> Result<Universe> {
        let mut universe = Universe(BTreeMap::new());
        let api = modules.dir("k8s.io/api")?;
        for group in directories(api)? {
            for version in directories(&api.join(&group))?.iter().filter(|v| !v.contains('.') && v.starts_with('v')) {
                universe.add(api, "k8s.io/api", &format!("{group}/{version}"), &format!("{group}.{version}"))?;
            }
        }
        let machinery = modules.dir("k8s.io/apimachinery")?;
        universe.add(machinery, "k8s.io/apimachinery", "pkg/apis/meta/v1", "meta.v1")?;
        universe.add(machinery, "k8s.io/apimachinery", "pkg/version", "version")?;
        let extensions = "k8s.io/apiextensions-apiserver";
        universe.add(modules.dir(extensions)?, extensions, "pkg/apis/apiextensions/v1", "apiextensions.v1")?;
        let aggregator = "k8s.io/kube-aggregator";
        universe.add(modules.dir(aggregator)?, aggregator, "pkg/apis/apiregistration/v1", "apiregistration.v1")?;
        Ok(universe)
    }

    fn add(&mut self, root: &Path, module: &str, path: &str, short: &str) -> Result<()> {
        let dir = root.join(path);
        let host = module.strip_prefix("k8s.io/").unwrap_or(module);
        let entry = Entry {
            short: short.to_owned(),
            prefix: format!("io.k8s.{host}.{}", path.replace('/', ".")),
            version: path.rsplit('/').next().unwrap_or(path).to_owned(),
            package: Package::read(&dir)?,
            messages: proto::read(&dir)?,
        };
        self.0.insert(format!("{module}/{path}"), entry);
        Ok(())
    }

    /// The fields of a struct, inlined ones in place.
    pub fn flatten(&self, path: &str, name: &str) -> Result<Vec<Flat>> {
        let (path, declared) = self.find(path, name)?;
        let fields = match &declared.decl {
            Decl::Struct(fields) => fields,
            Decl::Named(ty) | Decl::Alias(ty) => {
                let (path, name) = locate(&path, &declared, ty)?;
                return self.flatten(&path, &name);
            }
        };
        let mut flat = Vec::new();
        for field in fields {
            if field.inline {
                let (inner_path, inner) = locate(&path, &declared, field.ty.trim_start_matches('*'))?;
                let inner_fields = self.flatten(&inner_path, &inner)?;
                if inner == "TypeMeta" {
                    flat.extend(inner_fields.into_iter().map(without_tag));
                    continue;
                }
                let tag = field.tag.with_context(|| format!("{inner} is inlined without a protobuf tag"))?;
                for mut f in inner_fields {
                    f.via.insert(0, tag);
                    f.embedded.insert(0, inner.clone());
                    flat.push(f);
                }
            } else if !field.json.is_empty() && field.json != "-" {
                let (path, declared) = (path.clone(), declared.clone());
                flat.push(Flat { field: field.clone(), via: Vec::new(), embedded: Vec::new(), path, declared });
            }
        }
        Ok(flat)
    }

    fn find(&self, path: &str, name: &str) -> Result<(String, Declared)> {
        let entry = self.0.get(path).with_context(|| format!("package {path} (for {name}) is not read"))?;
        let declared = entry.package.types.get(name).with_context(|| format!("{path} declares no {name}"))?;
        Ok((path.to_owned(), declared.clone()))
    }

    /// A type expression in the notation of the table; `home` is the package whose names need no prefix.
    pub fn shape(&self, home: &str, path: &str, at: &Declared, expression: &str) -> Result<String> {
        if let Some(letter) = special("", expression) {
            return Ok(letter.to_owned());
        }
        if let Some(item) = expression.strip_prefix("[]") {
            return Ok(format!("[{}]", self.shape(home, path, at, item)?));
        }
        if let Some((key, value)) = expression.strip_prefix("map[").and_then(|e| e.split_once(']')) {
            let value = self.shape(home, path, at, value)?;
            let key = if key == "string" { String::new() } else { format!("{}=", self.printed(path, at, key)?) };
            return Ok(format!("{{{key}{value}}}"));
        }
        if let Some((_, letter)) = BASIC.iter().find(|(name, _)| *name == expression) {
            return Ok((*letter).to_owned());
        }
        self.named(home, path, at, expression)
    }

    fn named(&self, home: &str, path: &str, at: &Declared, expression: &str) -> Result<String> {
        let (path, name) = locate(path, at, expression)?;
        if let Some(letter) = special(&path, &name) {
            return Ok(letter.to_owned());
        }
        let (path, declared) = self.find(&path, &name)?;
        let entry = &self.0[&path];
        match &declared.decl {
            Decl::Struct(_) => Ok(entry.reference(path == home, &name)),
            Decl::Alias(other) => self.shape(home, &path, &declared, other),
            Decl::Named(other) => {
                let inner = self.shape(home, &path, &declared, other)?;
                if inner.starts_with('@') {
                    return Ok(entry.reference(path == home, &name));
                }
                let wrapped = inner.starts_with('[') && entry.messages.contains_key(&name);
                let inner = inner.split(':').next().filter(|_| !inner.starts_with(['[', '{'])).unwrap_or(&inner);
                Ok(format!("{}{inner}:{}.{name}", if wrapped { "w" } else { "" }, entry.version))
            }
        }
    }

    /// The values that a type expression allows for its strings (of a list or map: for its elements), if it is an
    /// enumeration.
    pub fn values(&self, path: &str, at: &Declared, expression: &str) -> Result<Vec<String>> {
        let expression = expression.trim_start_matches('*').trim_start_matches("[]");
        let expression = expression.split_once(']').filter(|_| expression.starts_with("map[")).map_or(expression, |(_, value)| value);
        let known = |name: &str| name == "byte" || BASIC.iter().any(|(basic, _)| *basic == name) || special("", name).is_some();
        if known(expression) || expression.starts_with("map[") || expression.starts_with('[') {
            return Ok(Vec::new());
        }
        let (path, name) = locate(path, at, expression)?;
        if special(&path, &name).is_some() {
            return Ok(Vec::new());
        }
        let (path, declared) = self.find(&path, &name)?;
        match &declared.decl {
            Decl::Alias(other) => self.values(&path, &declared, other),
            _ if declared.is_enum => {
                let constants = self.0[&path].package.constants.iter().filter(|(_, ty, _)| *ty == name);
                let values = constants.map(|(_, _, value)| self.constant(&path, &declared, value));
                Ok(values.collect::<Result<BTreeSet<String>>>()?.into_iter().collect())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// The text of a constant expression: quoted, or the name of another constant.
    fn constant(&self, path: &str, at: &Declared, expression: &str) -> Result<String> {
        if let Some(text) = expression.strip_prefix('"') {
            return Ok(text.trim_end_matches('"').to_owned());
        }
        let (path, name) = locate(path, at, expression)?;
        let entry = self.0.get(&path).with_context(|| format!("package {path} (for {name}) is not read"))?;
        let other = entry.package.constants.iter().find(|(known, ..)| *known == name);
        let (_, _, value) = other.with_context(|| format!("{path} declares no constant {name}"))?;
        self.constant(&path, at, value)
    }

    fn printed(&self, path: &str, at: &Declared, name: &str) -> Result<String> {
        let (path, name) = locate(path, at, name)?;
        Ok(format!("{}.{name}", path.rsplit('/').next().unwrap_or(&path)))
    }
}

/// Kind and apiVersion travel in the envelope of a protobuf message, not in it.
fn without_tag(mut flat: Flat) -> Flat {
    flat.field.tag = None;
    flat.embedded.insert(0, "TypeMeta".to_owned());
    flat
}

fn special(path: &str, name: &str) -> Option<&'static str> {
    SPECIAL.iter().find(|(p, n, _)| *p == path && *n == name).map(|(_, _, letter)| *letter)
}

/// The package and name that an identifier means in a file of package `path`.
fn locate(path: &str, at: &Declared, expression: &str) -> Result<(String, String)> {
    let Some((import, name)) = expression.split_once('.') else {
        return Ok((path.to_owned(), expression.to_owned()));
    };
    match at.imports.get(import) {
        Some(path) => Ok((path.clone(), name.to_owned())),
        None => bail!("{path}: {import} is not imported"),
    }
}

fn directories(dir: &Path) -> Result<Vec<String>> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .with_context(|| dir.display().to_string())?
        .filter_map(|e| e.ok().filter(|e| e.path().is_dir())?.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}
