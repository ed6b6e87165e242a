//! Frames that go by, and heads that are cut, in whatever parts they come.

use super::fields::tests::literal;
use super::*;

fn frame(kind: u8, flags: u8, stream: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, stream], content].concat()
}

/// A head in frames of that size; the first has padding and a priority, if it is to have them.
fn frames(fields: &[u8], size: usize, dressed: bool) -> Vec<u8> {
    let parts: Vec<&[u8]> = fields.chunks(size).collect();
    let mut all = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let end = if at + 1 == parts.len() { END_HEADERS } else { 0 };
        let content = if dressed && at == 0 { [&[3, 0, 0, 0, 0, 9], *part, &[0; 3]].concat() } else { part.to_vec() };
        let dress = if dressed && at == 0 { PADDED | PRIORITY } else { 0 };
        let (kind, flags) = if at == 0 { (HEADERS, END_STREAM | dress) } else { (CONTINUATION, 0) };
        all.extend(frame(kind, flags | end, 5, &content));
    }
    all
}

fn heads(room: &Arc<Semaphore>) -> Heads {
    Heads::new(HeaderName::from_static("x-rest"), room.clone())
}

/// What goes by of bytes that come in parts of that size.
fn passed(bytes: &[u8], part: usize) -> Vec<u8> {
    let (mut heads, mut out) = (heads(&Arc::new(Semaphore::new(1))), Vec::new());
    for part in bytes.chunks(part) {
        if heads.passes(part) { out.extend_from_slice(part) } else { heads.pass(part, &mut out).expect("there is room") }
    }
    out
}

#[test]
fn what_is_no_long_path_goes_by_as_it_came() {
    let short = [vec![0x82, 0x87], literal(4, true, "/api", true)].concat();
    let heavy = [short.clone(), literal(15, false, &"x".repeat(90_000), false)].concat();
    let mut all = vec![b'P'; PREFACE];
    all.extend(frame(4, 0, 0, &[0; 12]));
    all.extend(frames(&short, 16_000, false));
    all.extend(frame(0, 1, 5, &vec![7; 16_384]));
    all.extend(frames(&heavy, 16_000, true));
    all.extend(frame(0, 1, 7, b""));
    // A head that does not go on, and one without end.
    all.extend(frame(HEADERS, 0, 9, &short));
    all.extend(frame(6, 0, 0, &[0; 8]));
    all.extend(frame(HEADERS, 0, 11, &short));
    (0..200).for_each(|_| all.extend(frame(CONTINUATION, 0, 11, &[0; 9_000])));
    for part in [7, 1000, 16_384, 1 << 22] {
        assert!(passed(&all, part) == all, "{part}");
    }
}

#[test]
fn a_long_path_is_cut_in_whatever_frames_it_comes() {
    let path = format!("/p?{}", "selector".repeat(9_000));
    let fields = [vec![0x82, 0x87], literal(4, false, &path, true)].concat();
    let cut = fields::cut(&fields, "x-rest").expect("cut");
    let wanted = frames(&cut, CONTENT, false);
    let (before, after) = (vec![b'P'; PREFACE], frame(0, 1, 7, b"abc"));
    for (size, dressed) in [(16_000, false), (16_000, true), (900, true)] {
        let all = [&before[..], &frames(&fields, size, dressed), &after].concat();
        for part in [5, 1000, 1 << 22] {
            assert!(passed(&all, part) == [&before[..], &wanted, &after].concat(), "{size} {dressed} {part}");
        }
    }
}

#[test]
fn only_so_many_long_heads_are_on_their_way_at_once() {
    let room = Arc::new(Semaphore::new(1));
    let begun = [vec![b'P'; PREFACE], frame(HEADERS, 0, 1, &[0; 16_000])].concat();
    let more = |size| frame(CONTINUATION, 0, 1, &vec![0; size]);
    let pass = |heads: &mut Heads, bytes: &[u8]| heads.pass(bytes, &mut Vec::new()).is_ok();
    let (mut first, mut second, mut short) = (heads(&room), heads(&room), heads(&room));
    for heads in [&mut first, &mut second, &mut short] {
        assert!(pass(heads, &begun));
    }
    assert!(pass(&mut first, &more(60_000)), "it has the place");
    assert!(pass(&mut short, &more(30_000)), "it takes none");
    assert!(!pass(&mut second, &more(60_000)));
    // It is longer than can be: the library below gathers what still comes, and the place is kept.
    assert!((0..22).all(|_| pass(&mut first, &more(60_000))) && first.head.is_none());
    assert_eq!(room.available_permits(), 0);
    assert!(pass(&mut first, &frame(6, 0, 0, &[0; 8])));
    assert_eq!(room.available_permits(), 1, "it is over");
    let last = frame(CONTINUATION, END_HEADERS, 1, &[0; 60_000]);
    assert!(pass(&mut short, &last));
    assert_eq!(room.available_permits(), 1, "so is this");
    assert!(pass(&mut short, &[frame(HEADERS, 0, 3, &[0; 16_000]), more(60_000)].concat()));
    drop(short);
    assert_eq!(room.available_permits(), 1, "a connection gives it back as it ends");
}
