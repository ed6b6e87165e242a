//! Host-local addresses: one file per address, named by it, that holds its owner's uid.
//!
//! The directory is the only state. Making a file is atomic, so that two pods never get one
//! address, also when the process is killed between two steps.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use ipnet::Ipv4Net;

use crate::api::{Error, Result};

/// Addresses of one range, kept in one directory.
pub struct Ipam {
    directory: PathBuf,
    range: Ipv4Net,
}

impl Ipam {
    /// Opens the directory, which is made if absent. The first address of the range is the gateway's,
    /// the last the broadcast address; neither is given out.
    pub fn open(directory: &Path, range: Ipv4Net) -> Result<Self> {
        fs::create_dir_all(directory).map_err(|e| system("create", directory, &e))?;
        let ipam = Ipam { directory: directory.to_owned(), range };
        // A crash between making a file and writing its owner leaves an address that nobody would ever give back.
        for (_, address) in ipam.all().into_iter().filter(|(owner, _)| owner.is_empty()) {
            let path = directory.join(address.to_string());
            fs::remove_file(&path).map_err(|e| system("remove", &path, &e))?;
        }
        Ok(ipam)
    }

    /// The gateway's address.
    pub fn gateway(&self) -> Ipv4Addr {
        self.range.hosts().next().unwrap_or(self.range.addr())
    }

    /// The range.
    pub fn range(&self) -> Ipv4Net {
        self.range
    }

    /// The owner's address, if it has one.
    pub fn of(&self, owner: &str) -> Option<Ipv4Addr> {
        let files = fs::read_dir(&self.directory).ok()?.filter_map(std::result::Result::ok);
        let mut mine = files.filter(|f| fs::read_to_string(f.path()).is_ok_and(|text| text == owner));
        mine.find_map(|f| f.file_name().to_str()?.parse().ok())
    }

    /// The owner's address, a new one if it has none. Addresses are used in turn, so that one just
    /// given back rests as long as possible.
    pub fn take(&self, owner: &str) -> Result<Ipv4Addr> {
        if let Some(address) = self.of(owner) {
            return Ok(address);
        }
        let last: Ipv4Addr = self.range.broadcast();
        let first = u32::from(self.gateway()) + 1;
        let count = u32::from(last).saturating_sub(first);
        let start = self.read_last().map_or(0, |l| u32::from(l).saturating_sub(first) + 1);
        for offset in 0..count {
            let address = Ipv4Addr::from(first + (start + offset) % count);
            if self.claim(address, owner)? {
                let _ = fs::write(self.directory.join("last"), address.to_string());
                return Ok(address);
            }
        }
        Err(Error::Exhausted(self.range.to_string()))
    }

    /// Gives the owner's address back; no error if it has none.
    pub fn give_back(&self, owner: &str) -> Result<()> {
        let Some(address) = self.of(owner) else { return Ok(()) };
        let path = self.directory.join(address.to_string());
        match fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(system("remove", &path, &e)),
            _ => Ok(()),
        }
    }

    /// All owners with their addresses.
    pub fn all(&self) -> Vec<(String, Ipv4Addr)> {
        let files = fs::read_dir(&self.directory).into_iter().flatten().filter_map(std::result::Result::ok);
        files
            .filter_map(|f| Some((fs::read_to_string(f.path()).ok()?, f.file_name().to_str()?.parse().ok()?)))
            .collect()
    }

    fn read_last(&self) -> Option<Ipv4Addr> {
        fs::read_to_string(self.directory.join("last")).ok()?.parse().ok()
    }

    fn claim(&self, address: Ipv4Addr, owner: &str) -> Result<bool> {
        let path = self.directory.join(address.to_string());
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => file.write_all(owner.as_bytes()).map(|()| true).map_err(|e| system("write", &path, &e)),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(system("create", &path, &e)),
        }
    }
}

fn system(operation: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::System(format!("{operation} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_owner_has_one_address_and_ranges_end() {
        let dir = tempfile::tempdir().expect("dir");
        let range: Ipv4Net = "10.244.0.0/29".parse().expect("range");
        let ipam = Ipam::open(dir.path(), range).expect("opens");
        assert_eq!(ipam.gateway(), Ipv4Addr::new(10, 244, 0, 1));
        let taken: Vec<_> = (0..5).map(|i| ipam.take(&i.to_string()).expect("free").octets()[3]).collect();
        assert_eq!(taken, [2, 3, 4, 5, 6]);
        assert!(matches!(ipam.take("x"), Err(Error::Exhausted(_))));
        ipam.give_back("1").expect("given back");
        ipam.give_back("1").expect("twice is no error");
        let again = Ipam::open(dir.path(), range).expect("opens");
        assert_eq!(again.take("0").expect("has one"), Ipv4Addr::new(10, 244, 0, 2));
        assert_eq!(again.take("x").expect("free"), Ipv4Addr::new(10, 244, 0, 3));
        assert_eq!(again.all().len(), 5);
        fs::write(dir.path().join("10.244.0.4"), "").expect("as a crash leaves it");
        assert_eq!(Ipam::open(dir.path(), range).expect("opens").all().len(), 4);
    }
}
