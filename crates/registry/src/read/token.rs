//! The `continue` token, in upstream's form (`apiserver/pkg/storage/continue.go`).

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::NO_PAD;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use meta::Status;
use serde::{Deserialize, Serialize};

/// Go's decoder does not look at the unused bits of the last symbol.
const LENIENT: GeneralPurpose =
    GeneralPurpose::new(&URL_SAFE, NO_PAD.with_decode_allow_trailing_bits(true));

const VERSION: &str = "meta.k8s.io/v1";

/// Where a list goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// The revision of the list; `None`: whatever is newest (an inconsistent list).
    pub revision: Option<u64>,
    /// The last key that was handed out, relative to the list's prefix.
    pub after: String,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    #[serde(default)]
    v: String,
    #[serde(default)]
    rv: i64,
    #[serde(default)]
    start: String,
}

impl Token {
    pub fn encode(&self) -> String {
        // The next key in order is the last one with a zero byte after it.
        let rv = self.revision.map_or(-1, u64::cast_signed);
        let wire = Wire { v: VERSION.to_owned(), rv, start: format!("{}\0", self.after) };
        BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(&wire).unwrap_or_default())
    }

    pub fn decode(text: &str) -> Result<Self, Status> {
        let wire = read(text).and_then(check);
        let wire = wire.map_err(|why| Status::bad_request(format!("invalid continue token: continue key is not valid{why}")))?;
        let after = wire.start.strip_suffix('\0').unwrap_or(&wire.start).to_owned();
        Ok(Token { revision: u64::try_from(wire.rv).ok(), after })
    }
}

fn read(text: &str) -> Result<Wire, String> {
    let bytes = LENIENT.decode(text).map_err(|e| format!(": {e}"))?;
    // The error of a text that is no JSON is Go's.
    let (tree, _) = schema::json_tree(&bytes).map_err(|e| format!(": {e}"))?;
    serde_json::from_value(tree).map_err(|e| format!(": {e}"))
}

fn check(wire: Wire) -> Result<Wire, String> {
    let traverses = |start: &str| start.split('/').any(|part| matches!(part, "" | "." | ".."));
    match &wire {
        w if w.v != VERSION => Err(format!(": server does not recognize this encoded version {}", w.v)),
        Wire { rv: 0, .. } => Err(format!(": incorrect encoded start resourceVersion (version {VERSION})")),
        w if w.start.is_empty() => Err(format!(": encoded start key empty (version {VERSION})")),
        w if traverses(w.start.trim_start_matches('/')) => Err(format!(": {}", w.start)),
        _ => Ok(wire),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_nothing_else() {
        for revision in [Some(7), None] {
            let token = Token { revision, after: "default/a".to_owned() };
            assert_eq!(Token::decode(&token.encode()), Ok(token));
        }
        let of = |json: &str| Token::decode(&BASE64_URL_SAFE_NO_PAD.encode(json)).map_err(|s| s.message);
        assert!(Token::decode("!").is_err());
        assert!(of(r#"{"v":"x","rv":1,"start":"a"}"#).is_err_and(|m| m.contains("does not recognize this encoded version")));
        assert!(of(r#"{"v":"meta.k8s.io/v1","rv":0,"start":"a"}"#).is_err_and(|m| m.contains("start resourceVersion")));
        assert!(of(r#"{"v":"meta.k8s.io/v1","rv":1,"start":"../a"}"#).is_err());
    }

    #[test]
    fn no_token_is_too_odd_to_be_refused() {
        let seed = br#"{"v":"meta.k8s.io/v1","rv":7,"start":"default/a\u0000"}"#;
        let mut state = 36_u64;
        for _ in 0..20_000 {
            let mut json = seed.to_vec();
            for _ in 0..3 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let [.., a, b, c] = state.to_be_bytes().map(usize::from);
                let at = (a << 8 | b) % json.len();
                json[at] = u8::try_from(c).unwrap_or_default();
            }
            if let Ok(token) = Token::decode(&BASE64_URL_SAFE_NO_PAD.encode(&json)) {
                assert_eq!(Token::decode(&token.encode()), Ok(token));
            }
        }
    }
}
