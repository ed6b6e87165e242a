//! What is done with bytes from outside, one function a decoder, for the fuzz targets (`fuzz/`) and for the test of their
//! corpus. None may panic, take long, or leave its directory.

use std::fs;
use std::path::Path;

use crate::image;

/// A manifest or index, a configuration, the list of a docker archive, a name, and what registries say beside these.
pub fn manifest(data: &[u8]) {
    image::decode(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(reference) = crate::Reference::parse(text) {
        let again = crate::Reference::parse(&reference.to_string());
        assert!(again.is_ok_and(|again| again == reference), "what was read is written, and read again");
    }
}

/// A layer, compressed or not, unpacked below `scratch`. Nothing else there may change.
pub fn layer(scratch: &Path, data: &[u8]) {
    let place = scratch.join("place");
    fs::create_dir_all(place.join("outside")).expect("a directory");
    fs::write(place.join("outside/file"), "as it was").expect("a file");
    image::unpack_small(data, &place.join("layer"));
    let names: Vec<_> = fs::read_dir(&place).expect("is there").map(|entry| entry.expect("an entry").file_name()).collect();
    assert!(names.iter().all(|name| name == "layer" || name == "outside"), "{names:?}");
    assert_eq!(fs::read_dir(place.join("outside")).expect("is there").count(), 1);
    assert_eq!(fs::read(place.join("outside/file")).expect("is there"), b"as it was");
    crate::remove_tree(&place).expect("is removed");
}
