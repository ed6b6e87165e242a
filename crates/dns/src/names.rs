//! Names as texts, in the form of zone files: what is no plain character is escaped. The library's own reader takes host
//! names alone, but any name may be asked for.

use hickory_proto::rr::Name;

/// The name as a text, with its final dot.
pub(crate) fn text(name: &Name) -> String {
    let mut text = String::with_capacity(name.len() + 1);
    for label in name.iter() {
        for byte in label {
            match byte {
                b'.' | b' ' | b'\'' | b'@' | b';' | b'(' | b')' | b'"' | b'\\' => text.extend(['\\', char::from(*byte)]),
                b'!'..=b'~' => text.push(char::from(*byte)),
                byte => text.push_str(&format!("\\{byte:03}")),
            }
        }
        text.push('.');
    }
    if text.is_empty() {
        text.push('.');
    }
    text
}

/// The name that a text stands for; `None` if it stands for none. The final dot may be left out.
pub(crate) fn parse(text: &str) -> Option<Name> {
    if text == "." {
        return Some(Name::root());
    }
    let text = text.as_bytes();
    let (mut labels, mut label, mut at) = (Vec::new(), Vec::new(), 0);
    while let Some(byte) = text.get(at) {
        at += 1;
        match byte {
            b'.' if label.is_empty() => return None,
            b'.' => labels.push(std::mem::take(&mut label)),
            b'\\' => {
                let (byte, taken) = escaped(&text[at..])?;
                label.push(byte);
                at += taken;
            }
            byte => label.push(*byte),
        }
    }
    if !label.is_empty() {
        labels.push(label);
    }
    Name::from_labels(labels).ok()
}

/// What stands after a backslash, and how many bytes that are.
fn escaped(text: &[u8]) -> Option<(u8, usize)> {
    match text {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', ..] => {
            let number = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
            Some((u8::try_from(number).ok()?, 3))
        }
        [byte, ..] => Some((*byte, 1)),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_is_a_text_and_back() {
        let labels: [&[u8]; 5] = [b"-a_B", b"x.y", b"\x00\xff \"", b"*", b"\\"];
        let name = Name::from_labels(labels.map(<[u8]>::to_vec)).expect("a name");
        assert_eq!(text(&name), r#"-a_B.x\.y.\000\255\ \".*.\\."#);
        assert_eq!(parse(&text(&name)).map(|again| again.eq_case(&name)), Some(true));
        assert_eq!((text(&Name::root()), parse("."), parse("a.b").map(|n| text(&n))), (".".into(), Some(Name::root()), Some("a.b.".into())));
        let long = format!("{}.example.", "x".repeat(64));
        assert!(["", "a..b", ".a", "a\\", "\\256.", long.as_str()].iter().all(|wrong| *wrong == "" || parse(wrong).is_none()));
    }
}
