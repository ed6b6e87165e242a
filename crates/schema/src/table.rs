//! The built-in table, as `cargo xtask codegen` writes it: an index over its text at the first use,
//! then each type when it is first asked for.
//!
//! Lines are tab-separated. `G` lists the group versions in which the option kinds exist. `P` gives a
//! package its definition prefix. `T` begins a type: name, flags (`p` published, `a` atomic), kinds
//! (`group/version/Kind`, or `*` for every group version), unions as JSON. Then one line a field: JSON name, shape,
//! protobuf numbers, flags (`o` omitempty, `z` omitzero, `r` required, `0` zero default), attributes
//! (`l` list type, `k` map keys, `m` map type, `s` patch strategy, `p` merge key, `e` embedded in,
//! `n` values of an enumeration as JSON, `d` default). A shape is `*` for a pointer, then a letter, `@Type`, `[item]`, `{value}` or
//! `{key=value}`, a `w` before a wrapped list, and `:name` after a named Go type.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use crate::model::{Field, Kind, ListType, Name, Shape, Type, TypeRef};

const TEXT: &str = include_str!("kubernetes.table");

/// The whole table.
pub struct Table {
    /// `meta.v1` and `io.k8s.apimachinery.pkg.apis.meta.v1`.
    packages: Vec<(&'static str, &'static str)>,
    /// Group versions with option kinds.
    versions: Vec<&'static str>,
    rows: Vec<Row>,
    /// Row numbers by short name.
    by_name: Vec<(&'static str, u32)>,
    /// Row numbers by `group/version/Kind`.
    by_kind: Vec<(&'static str, u32)>,
    /// Row numbers of the kinds of every group version, by kind.
    everywhere: Vec<(&'static str, u32)>,
}

struct Row {
    name: &'static str,
    flags: &'static str,
    kinds: &'static str,
    unions: &'static str,
    fields: &'static str,
    parsed: OnceLock<Box<Type>>,
}

/// The table of this binary.
pub fn builtin() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| Table::index(TEXT))
}

impl Table {
    fn index(text: &'static str) -> Table {
        let (head, types) = text.split_once("\nT\t").unwrap_or((text, ""));
        let mut table = Table {
            packages: Vec::new(),
            versions: Vec::new(),
            rows: Vec::with_capacity(1200),
            by_name: Vec::with_capacity(1200),
            by_kind: Vec::with_capacity(1200),
            everywhere: Vec::new(),
        };
        for line in head.lines() {
            let mut cells = line.split('\t');
            match (cells.next(), cells.next(), cells.next()) {
                (Some("G"), Some(versions), _) => table.versions = versions.split(' ').collect(),
                (Some("P"), Some(short), Some(prefix)) => table.packages.push((short, prefix)),
                _ => {}
            }
        }
        for block in types.split("\nT\t") {
            table.add(block);
        }
        table.by_name.sort_unstable();
        table.by_kind.sort_unstable();
        table
    }

    fn add(&mut self, block: &'static str) {
        let (head, fields) = block.split_once('\n').unwrap_or((block, ""));
        let mut cells = head.split('\t');
        let mut cell = || cells.next().unwrap_or("");
        let (name, flags, kinds, unions) = (cell(), cell(), cell(), cell());
        let index = self.rows.len() as u32;
        self.by_name.push((name, index));
        match kinds {
            "" => {}
            "*" => self.everywhere.push((name.rsplit('.').next().unwrap_or(name), index)),
            _ => self.by_kind.extend(kinds.split(',').map(|kind| (kind, index))),
        }
        self.rows.push(Row { name, flags, kinds, unions, fields, parsed: OnceLock::new() });
    }

    /// A type by its row.
    pub fn get(&self, index: u32) -> &Type {
        let row = &self.rows[index as usize];
        row.parsed.get_or_init(|| Box::new(self.parse(row)))
    }

    /// Row of a kind, given as `group/version/Kind`.
    pub fn kind(&self, gvk: &str) -> Option<u32> {
        if let Some(index) = find(&self.by_kind, gvk) {
            return Some(index);
        }
        let (version, kind) = gvk.rsplit_once('/')?;
        let (_, index) = self.everywhere.iter().find(|(name, _)| *name == kind)?;
        self.versions.contains(&version).then_some(*index)
    }

    /// Row of a definition, by its full name (`io.k8s.api.core.v1.PodSpec`).
    pub fn definition(&self, full: &str) -> Option<u32> {
        let (prefix, name) = full.rsplit_once('.')?;
        let (short, _) = self.packages.iter().find(|(_, p)| *p == prefix)?;
        find(&self.by_name, &format!("{short}.{name}"))
    }

    /// All kinds of a row as `group/version/Kind`; every group version for option kinds.
    pub fn kinds(&self, index: u32) -> Vec<String> {
        let row = &self.rows[index as usize];
        let name = row.name.rsplit('.').next().unwrap_or(row.name);
        match row.kinds {
            "" => Vec::new(),
            "*" => self.versions.iter().map(|version| format!("{version}/{name}")).collect(),
            kinds => kinds.split(',').map(str::to_owned).collect(),
        }
    }

    /// Whether the row is an option kind, which exists in every group version.
    pub fn is_everywhere(&self, index: u32) -> bool {
        self.rows[index as usize].kinds == "*"
    }

    /// How many types there are.
    #[cfg(test)]
    pub fn len(&self) -> u32 {
        self.rows.len() as u32
    }

    fn parse(&self, row: &Row) -> Type {
        let (package, name) = row.name.rsplit_once('.').unwrap_or(("", row.name));
        let prefix = self.packages.iter().find(|(short, _)| *short == package).map_or(package, |(_, prefix)| prefix);
        let mut reader = ShapeReader { table: self, package, rest: "" };
        let fields = row.fields.lines().map(|line| field(&mut reader, line)).collect();
        let name = Cow::Owned(format!("{prefix}.{name}"));
        let mut read = Type::new(name, row.flags.contains('p'), row.flags.contains('a'), fields);
        read.unions = Cow::Borrowed(row.unions);
        read
    }
}

fn find(sorted: &[(&'static str, u32)], key: &str) -> Option<u32> {
    sorted.binary_search_by(|(name, _)| (*name).cmp(key)).ok().map(|at| sorted[at].1)
}

fn names(list: &'static str, separator: char) -> Vec<Name> {
    list.split(separator).filter(|n| !n.is_empty()).map(Cow::Borrowed).collect()
}

fn field(reader: &mut ShapeReader, line: &'static str) -> Field {
    let mut cells = line.split('\t');
    let mut cell = || cells.next().unwrap_or("");
    let (name, shape, tags, flags) = (cell(), cell(), cell(), cell());
    reader.rest = shape.trim_start_matches('*');
    let mut field = Field {
        pointer: shape.starts_with('*'),
        omitempty: flags.contains('o'),
        omitzero: flags.contains('z'),
        required: flags.contains('r'),
        zero_default: flags.contains('0'),
        tags: tags.split('.').filter_map(|t| t.parse().ok()).collect(),
        ..Field::new(Cow::Borrowed(name), reader.shape())
    };
    for (key, value) in cells.filter_map(|c| c.split_once('=')) {
        match key {
            "l" => field.list_type = list_type(value),
            "k" => field.map_keys = names(value, ','),
            "m" => field.map_type = Cow::Borrowed(value),
            "s" => field.patch_strategy = Cow::Borrowed(value),
            "p" => field.patch_merge_key = Cow::Borrowed(value),
            "e" => field.embedded = names(value, '.'),
            "n" => field.values = serde_json::from_str(value).unwrap_or_default(),
            "d" => field.default = serde_json::from_str(value).ok(),
            _ => unreachable!("codegen writes no attribute {key}"),
        }
    }
    field
}

fn list_type(word: &str) -> Option<ListType> {
    match word {
        "atomic" => Some(ListType::Atomic),
        "set" => Some(ListType::Set),
        "map" => Some(ListType::Map),
        _ => None,
    }
}

/// Reads the notation of shapes.
struct ShapeReader<'t> {
    table: &'t Table,
    package: &'static str,
    rest: &'static str,
}

impl ShapeReader<'_> {
    fn shape(&mut self) -> Shape {
        let kind = self.kind();
        let printed = if self.skip(':') { self.word() } else { "" };
        Shape { printed: Cow::Borrowed(printed), ..Shape::of(kind) }
    }

    fn skip(&mut self, c: char) -> bool {
        let found = self.rest.strip_prefix(c);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn word(&mut self) -> &'static str {
        let end = self.rest.find([']', '}', '=', ':']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn kind(&mut self) -> Kind {
        let wrapped = self.skip('w');
        if self.skip('[') {
            let item = Arc::new(self.shape());
            self.skip(']');
            return Kind::List { item, wrapped };
        }
        if self.skip('{') {
            return self.map();
        }
        let letter = self.rest.chars().next().unwrap_or(' ');
        if letter == '@' {
            return Kind::Struct(self.reference());
        }
        self.rest = &self.rest[1..];
        match letter {
            's' => Kind::String,
            'b' => Kind::Bool,
            'i' => Kind::Int32,
            'l' => Kind::Int64,
            'n' => Kind::Int,
            'f' => Kind::Float,
            'y' => Kind::Bytes,
            'T' => Kind::Time,
            'M' => Kind::MicroTime,
            'Q' => Kind::Quantity,
            'I' => Kind::IntOrString,
            'R' => Kind::Raw,
            'V' => Kind::FieldsV1,
            'J' => Kind::Json,
            'A' => Kind::SchemaOrArray(self.reference()),
            'O' => Kind::SchemaOrBool(self.reference()),
            'S' => Kind::SchemaOrStrings(self.reference()),
            _ => unreachable!("codegen writes no shape {letter}"),
        }
    }

    fn map(&mut self) -> Kind {
        let inside = self.rest.find(['}', '=']).filter(|at| self.rest[*at..].starts_with('='));
        let key = if inside.is_some() { self.word() } else { "" };
        self.skip('=');
        let value = Arc::new(self.shape());
        self.skip('}');
        Kind::Map { key: Cow::Borrowed(key), value }
    }

    fn reference(&mut self) -> TypeRef {
        self.skip('@');
        let word = self.word();
        let found = if word.contains('.') {
            find(&self.table.by_name, word)
        } else {
            find(&self.table.by_name, &format!("{}.{word}", self.package))
        };
        match found {
            Some(index) => TypeRef::Builtin(index),
            None => unreachable!("codegen writes no reference to an unknown type: {word}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_parses() {
        let table = builtin();
        assert!(table.len() > 1100);
        for index in 0..table.len() {
            let t = table.get(index);
            assert_eq!(table.definition(&t.name), Some(index));
            for field in &t.fields {
                assert!(t.field(&field.name).is_some());
                field.shape.go_type();
            }
        }
    }
}
