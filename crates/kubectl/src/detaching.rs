//! The keys with which a terminal leaves a container (upstream: `kubectl/pkg/util/term`, `moby/term`).

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What leaves when nobody says otherwise.
pub const DEFAULT: &str = "ctrl-p,ctrl-q";

/// A sequence of keys, and how much of it was typed.
#[derive(Debug)]
pub struct Keys {
    sequence: Vec<u8>,
    typed: usize,
}

impl Keys {
    /// Keys with commas between them: characters, `ctrl-a` and the like, `DEL`. None at all are the usual ones.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = if text.is_empty() { DEFAULT } else { text };
        let sequence = text.split(',').map(code).collect::<Result<_, _>>()?;
        Ok(Keys { sequence, typed: 0 })
    }

    /// Adds to `on` what of the bytes goes on; the beginning of the sequence is kept back until something else follows.
    /// Whether the whole of it was typed.
    fn pass(&mut self, bytes: &[u8], on: &mut Vec<u8>) -> bool {
        for byte in bytes {
            if *byte == self.sequence[self.typed] {
                self.typed += 1;
                if self.typed == self.sequence.len() {
                    return true;
                }
                continue;
            }
            // As upstream: what breaks a sequence begins none.
            on.extend_from_slice(&self.sequence[..std::mem::take(&mut self.typed)]);
            on.push(*byte);
        }
        false
    }
}

fn code(key: &str) -> Result<u8, String> {
    match key.as_bytes() {
        [one] => Ok(*one),
        b"DEL" => Ok(127),
        [b'c', b't', b'r', b'l', b'-', letter @ (b'a'..=b'z')] => Ok(letter - b'a' + 1),
        [b'c', b't', b'r', b'l', b'-', sign @ (b'@' | b'[' | b'\\' | b']' | b'^' | b'_')] => Ok(sign - b'@'),
        _ => Err(format!("Unknown character: '{key}'")),
    }
}

/// Copies to the end, or until the keys were typed. Whether they were.
pub async fn copy(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin), mut keys: Option<Keys>) -> bool {
    let (mut buffer, mut on) = ([0; 4096], Vec::new());
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        on.clear();
        let left = match &mut keys {
            Some(keys) => keys.pass(&buffer[..count], &mut on),
            None => {
                on.extend_from_slice(&buffer[..count]);
                false
            }
        };
        if to.write_all(&on).await.and(to.flush().await).is_err() {
            return false;
        }
        if left {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What goes on of text that comes in these parts, and whether that was all.
    fn typed(keys: &str, parts: &[&str]) -> (String, bool) {
        let (mut keys, mut on) = (Keys::parse(keys).expect("keys"), Vec::new());
        let left = parts.iter().any(|part| keys.pass(part.as_bytes(), &mut on));
        (String::from_utf8(on).expect("text"), left)
    }

    #[test]
    fn the_keys_leave_and_nothing_else_is_lost() {
        assert_eq!(typed("", &["ab\x10\x11cd"]), ("ab".to_owned(), true));
        assert_eq!(typed("", &["a\x10", "\x11"]), ("a".to_owned(), true));
        assert_eq!(typed("", &["a\x10", "b"]), ("a\x10b".to_owned(), false));
        assert_eq!(typed("", &["\x10\x10\x11"]), ("\x10\x10\x11".to_owned(), false));
        assert_eq!(typed("x", &["abxc"]), ("ab".to_owned(), true));
        assert_eq!(typed("ctrl-],q,DEL", &["\x1dq\x7f"]), (String::new(), true));
        assert_eq!(Keys::parse("ctrl-A").expect_err("no key"), "Unknown character: 'ctrl-A'");
        assert_eq!(Keys::parse("a,").expect_err("no key"), "Unknown character: ''");
    }

    #[tokio::test]
    async fn what_follows_the_keys_is_not_read() {
        let mut to = Vec::new();
        let mut from = &b"one\x10\x11two"[..];
        assert!(copy(&mut from, &mut to, Keys::parse("").ok()).await);
        assert_eq!(to, b"one");
        let mut from = &b"one\x10\x11two"[..];
        to.clear();
        assert!(!copy(&mut from, &mut to, None).await);
        assert_eq!(to, b"one\x10\x11two");
    }
}
