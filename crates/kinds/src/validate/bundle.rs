//! Bundles of certificates, by which servers that are called are known (upstream: `apiserver/pkg/util/webhook`,
//! `client-go/transport`).

use base64::Engine;
use x509_parser::error::X509Error;

/// Why a text in PEM cannot be a bundle of certificates, in upstream's words. One that can be read is enough.
pub fn certificates(bundle: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(bundle);
    let mut left = &*text;
    let mut first_wrong: Option<String> = None;
    while !left.is_empty() {
        let Some((block, rest)) = block(left) else {
            first_wrong = first_wrong.or(Some("unable to parse bytes as PEM block".to_owned()));
            break;
        };
        left = rest;
        if block.kind != "CERTIFICATE" || block.has_headers {
            continue;
        }
        match certificate(&block.bytes) {
            Ok(()) => return Ok(()),
            Err(why) => first_wrong = first_wrong.or(Some(format!("failed to parse certificate: {why}"))),
        }
    }
    let why = first_wrong.unwrap_or_else(|| "no valid certificate authority data seen".to_owned());
    Err(format!("unable to load root certificates: {why}"))
}

fn certificate(der: &[u8]) -> Result<(), String> {
    match x509_parser::parse_x509_certificate(der) {
        Ok(([], _)) => Ok(()),
        Ok(_) => Err("x509: trailing data".to_owned()),
        Err(x509_parser::nom::Err::Error(X509Error::InvalidVersion)) => Err("x509: invalid version".to_owned()),
        Err(_) => Err("x509: malformed certificate".to_owned()),
    }
}

struct Block<'t> {
    kind: &'t str,
    has_headers: bool,
    bytes: Vec<u8>,
}

/// The first block of a text, and what is behind it (Go's `pem.Decode`). What is none is passed over.
fn block(text: &str) -> Option<(Block<'_>, &str)> {
    const BEGIN: &str = "-----BEGIN ";
    let mut left = text;
    loop {
        let at = left.match_indices(BEGIN).map(|(at, _)| at).find(|at| *at == 0 || left.as_bytes()[at - 1] == b'\n')?;
        left = &left[at + BEGIN.len()..];
        let (line, behind) = left.split_once('\n')?;
        let Some(kind) = line.trim_end().strip_suffix("-----") else { continue };
        let end = format!("-----END {kind}-----");
        let Some((body, rest)) = behind.split_once(&*end).filter(|(body, _)| body.is_empty() || body.ends_with('\n')) else { continue };
        let headers = body.lines().take_while(|line| line.contains(':')).count();
        let encoded: String = body.lines().skip(headers).flat_map(str::chars).filter(|c| !c.is_ascii_whitespace()).collect();
        if let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(encoded) {
            return Some((Block { kind, has_headers: headers > 0, bytes }, rest.trim_start_matches([' ', '\t', '\r', '\n'])));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made once by `openssl req -x509 -newkey ed25519 -nodes -subj /CN=a -days 36500`.
    const GOOD: &str = include_str!("bundle.pem");

    fn why(text: &str) -> String {
        certificates(text.as_bytes()).err().unwrap_or_default()
    }

    #[test]
    fn one_certificate_is_enough() {
        let other = "-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n";
        for good in [GOOD.to_owned(), format!("words\n{GOOD}"), format!("{other}{GOOD}"), format!("{GOOD}{other}")] {
            assert_eq!(why(&good), "", "{good}");
        }
    }

    #[test]
    fn what_is_none_is_told() {
        let load = |why: &str| format!("unable to load root certificates: {why}");
        assert_eq!(why("abc"), load("unable to parse bytes as PEM block"));
        assert_eq!(why("-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n"), load("failed to parse certificate: x509: malformed certificate"));
        let key = GOOD.replace(" CERTIFICATE", " PRIVATE KEY");
        assert_eq!(why(&key), load("no valid certificate authority data seen"));
        let marked = GOOD.replacen("CERTIFICATE-----\n", "CERTIFICATE-----\nA: b\n\n", 1);
        assert_eq!(why(&marked), load("no valid certificate authority data seen"));
    }
}
