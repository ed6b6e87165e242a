//! What stands between quotes (upstream: cel-go `parser/unescape.go`).

/// A string literal's text.
pub fn string(quoted: &str) -> Result<String, &'static str> {
    let (inner, raw) = inner(quoted);
    let inner = inner.replace("\r\n", "\n").replace('\r', "\n");
    if raw || !inner.contains('\\') {
        return Ok(inner);
    }
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner.as_str();
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c != '\\' {
            out.push(c);
            continue;
        }
        let (code, length) = escape(rest.as_bytes(), true)?;
        out.push(char::from_u32(code).ok_or("invalid unicode code point")?);
        rest = &rest[length..];
    }
    Ok(out)
}

/// The bytes of a bytes literal, which begins with its quote or `r`.
pub fn bytes(quoted: &str) -> Result<Vec<u8>, &'static str> {
    let (inner, raw) = inner(quoted);
    let inner = inner.replace("\r\n", "\n").replace('\r', "\n");
    if raw || !inner.contains('\\') {
        return Ok(inner.into_bytes());
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'\\' {
            out.push(*first);
            continue;
        }
        let (code, length) = escape(rest, false)?;
        out.push(u8::try_from(code).map_err(|_| "unable to unescape string")?);
        rest = &rest[length..];
    }
    Ok(out)
}

/// What is within the quotes, and whether it is meant as it stands.
fn inner(quoted: &str) -> (&str, bool) {
    let raw = quoted.starts_with(['r', 'R']);
    let quoted = &quoted[usize::from(raw)..];
    let width = if quoted.len() >= 6 && (quoted.starts_with("'''") || quoted.starts_with("\"\"\"")) { 3 } else { 1 };
    (quoted.get(width..quoted.len().saturating_sub(width)).unwrap_or(""), raw)
}

/// The character that stands behind a backslash, and how many bytes of text it takes.
fn escape(rest: &[u8], unicode: bool) -> Result<(u32, usize), &'static str> {
    let (digits, radix) = match rest.first() {
        Some(b'a') => return Ok((7, 1)),
        Some(b'b') => return Ok((8, 1)),
        Some(b'f') => return Ok((12, 1)),
        Some(b'n') => return Ok((10, 1)),
        Some(b'r') => return Ok((13, 1)),
        Some(b't') => return Ok((9, 1)),
        Some(b'v') => return Ok((11, 1)),
        Some(c @ (b'\\' | b'\'' | b'"' | b'`' | b'?')) => return Ok((u32::from(*c), 1)),
        Some(b'x' | b'X') => (rest.get(1..3), 16),
        Some(b'u') if unicode => (rest.get(1..5), 16),
        Some(b'U') if unicode => (rest.get(1..9), 16),
        Some(b'0'..=b'3') => (rest.get(0..3), 8),
        _ => return Err("unable to unescape string"),
    };
    let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok()).ok_or("unable to unescape string")?;
    let code = u32::from_str_radix(digits, radix).map_err(|_| "unable to unescape string")?;
    Ok((code, digits.len() + usize::from(radix == 16)))
}
