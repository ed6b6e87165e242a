//! Layers that pods have mounted as volumes, whichever process mounted them.

use std::fs;

/// Layers that are mounted somewhere, as this process's table of mounts names them.
pub(super) fn mounted_layers() -> Vec<String> {
    layers_in(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())
}

fn layers_in(table: &str) -> Vec<String> {
    let name = |rest: &str| rest.split(['/', ':', ',', ' ', '\n']).next().unwrap_or_default().to_owned();
    table.split("/layers/").skip(1).map(name).filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn mounted_layers_are_known_from_the_table() {
        let table = "1 2 8:1 /d/images/layers/aa /p/v ro - ext4 /dev/sda1 rw\n\
                     3 2 0:5 / /p/w ro - overlay overlay ro,lowerdir=/d/images/layers/bb:/d/images/layers/cc,x=y\n";
        assert_eq!(super::layers_in(table), ["aa", "bb", "cc"]);
    }
}
