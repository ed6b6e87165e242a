//! A layer as a tar file.

use tar::{EntryType, Header};

/// A layer in the making; each call adds an entry, and [`Layer::owned`] and [`Layer::xattr`] change the last one.
/// Directories above an entry are not added: a layer need not name them.
#[derive(Clone, Debug, Default)]
pub struct Layer(Vec<Entry>);

#[derive(Clone, Debug)]
struct Entry {
    path: String,
    kind: EntryType,
    mode: u32,
    owner: (u64, u64),
    device: (u32, u32),
    link: Option<String>,
    bytes: Vec<u8>,
    xattrs: Vec<(String, Vec<u8>)>,
}

impl Layer {
    pub fn new() -> Self {
        Self::default()
    }

    fn add(mut self, path: &str, kind: EntryType, mode: u32) -> Self {
        let (owner, device) = ((0, 0), (0, 0));
        self.0.push(Entry { path: path.into(), kind, mode, owner, device, link: None, bytes: vec![], xattrs: vec![] });
        self
    }

    fn last(&mut self) -> &mut Entry {
        self.0.last_mut().expect("an entry to change")
    }

    pub fn dir(self, path: &str, mode: u32) -> Self {
        self.add(path, EntryType::Directory, mode)
    }

    pub fn file(self, path: &str, mode: u32, bytes: &[u8]) -> Self {
        let mut layer = self.add(path, EntryType::Regular, mode);
        layer.last().bytes = bytes.to_vec();
        layer
    }

    /// A symbolic link.
    pub fn link(self, path: &str, to: &str) -> Self {
        let mut layer = self.add(path, EntryType::Symlink, 0o777);
        layer.last().link = Some(to.into());
        layer
    }

    /// Another name of a file of this layer.
    pub fn hard(self, path: &str, to: &str) -> Self {
        let mut layer = self.add(path, EntryType::Link, 0o644);
        layer.last().link = Some(to.into());
        layer
    }

    pub fn fifo(self, path: &str, mode: u32) -> Self {
        self.add(path, EntryType::Fifo, mode)
    }

    /// A character device.
    pub fn device(self, path: &str, mode: u32, major: u32, minor: u32) -> Self {
        let mut layer = self.add(path, EntryType::Char, mode);
        layer.last().device = (major, minor);
        layer
    }

    /// A deletion: what the layers below have there is gone.
    pub fn gone(self, path: &str) -> Self {
        let (parent, name) = path.rsplit_once('/').map_or((String::new(), path), |(p, n)| (format!("{p}/"), n));
        self.file(&format!("{parent}.wh.{name}"), 0o644, b"")
    }

    /// A directory of which the layers below are not seen.
    pub fn opaque(self, path: &str) -> Self {
        self.file(&format!("{}/.wh..wh..opq", path.trim_end_matches('/')), 0o644, b"")
    }

    /// Owner and group of the last entry.
    pub fn owned(mut self, user: u64, group: u64) -> Self {
        self.last().owner = (user, group);
        self
    }

    /// An extended attribute of the last entry.
    pub fn xattr(mut self, name: &str, value: &[u8]) -> Self {
        self.last().xattrs.push((name.into(), value.to_vec()));
        self
    }

    /// As a tar file, names as they were given: also those that no tar program writes.
    pub fn tar(&self) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for entry in &self.0 {
            let mut pax: Vec<(String, &[u8])> = Vec::new();
            let mut header = Header::new_ustar();
            match entry.path.len() <= 100 {
                // By hand: the library refuses to write the names that must be refused.
                true => header.as_old_mut().name[..entry.path.len()].copy_from_slice(entry.path.as_bytes()),
                false => pax.push(("path".into(), entry.path.as_bytes())),
            }
            match entry.link.as_deref() {
                Some(link) if link.len() <= 100 => header.set_link_name_literal(link).expect("short"),
                Some(link) => pax.push(("linkpath".into(), link.as_bytes())),
                None => {}
            }
            pax.extend(entry.xattrs.iter().map(|(name, value)| (format!("SCHILY.xattr.{name}"), &value[..])));
            header.set_entry_type(entry.kind);
            header.set_mode(entry.mode);
            header.set_uid(entry.owner.0);
            header.set_gid(entry.owner.1);
            header.set_device_major(entry.device.0).expect("small");
            header.set_device_minor(entry.device.1).expect("small");
            header.set_size(entry.bytes.len() as u64);
            header.set_cksum();
            if !pax.is_empty() {
                builder.append_pax_extensions(pax.iter().map(|(name, value)| (&name[..], *value))).expect("in memory");
            }
            builder.append(&header, &entry.bytes[..]).expect("in memory");
        }
        builder.into_inner().expect("in memory")
    }
}
