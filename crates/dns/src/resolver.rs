//! A resolver's configuration (`/etc/resolv.conf`), read as CoreDNS' library does.

use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;

use crate::corefile::zones;
use crate::limits::{RESOLVER, SEARCHES};

/// Its text as it is now; nothing if it cannot be read. A few lines of a local file: handing that to another thread takes
/// longer than doing it.
pub(crate) fn read(path: &Path) -> String {
    let mut text = String::new();
    let _ = File::open(path).and_then(|file| file.take(RESOLVER).read_to_string(&mut text));
    text
}

/// Its name servers.
pub(crate) fn servers(text: &str) -> impl Iterator<Item = IpAddr> + '_ {
    text.lines().filter_map(|line| line.trim().strip_prefix("nameserver")?.trim().parse().ok())
}

/// The domains that names are looked up in, one after the other; of several lines the last counts. They have their final
/// dot.
pub(crate) fn search(text: &str) -> Vec<String> {
    let mut domains: Vec<&str> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with([';', '#'])) {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("domain") => domains = words.take(1).collect(),
            Some("search") => domains = words.collect(),
            _ => {}
        }
    }
    domains.into_iter().take(SEARCHES).filter_map(|domain| zones::normal(domain).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_says_where_names_are_looked_up() {
        assert_eq!(search("search a.test B.test.\nnameserver 192.0.2.1\n"), ["a.test.", "b.test."]);
        assert_eq!(search("search a.test\n# search c.test\n;domain c.test\ndomain b.test c.test\n"), ["b.test."]);
        assert!(search("domain a.test\nsearch\n").is_empty() && search("").is_empty());
        let many = format!("search {}\n", "a..b a.test ".repeat(SEARCHES));
        assert_eq!(search(&many).len(), SEARCHES / 2, "so many words, of which half are no names");
    }
}
