//! Bearer tokens of a file (upstream: `apiserver/pkg/authentication/token/tokenfile`).

use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;
use meta::{Info, User};

use super::service_account::bearer_token;
use super::{Authenticator, Credentials, Unauthorized};
use crate::cache::digest;

/// Tokens and whose they are. They are kept as hashes: how long a look-up takes tells nothing of them.
#[derive(Debug, Default)]
pub struct StaticTokens(HashMap<[u8; 32], User>);

impl StaticTokens {
    /// Reads a file of comma-separated values: token, user name, user uid and, quoted where there are several,
    /// groups. `path` is for the error alone.
    pub fn read(path: &str, text: &str) -> Result<StaticTokens, String> {
        let mut tokens = HashMap::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            let record = fields(line).map_err(|why| format!("record on line {}: {why}", number + 1))?;
            let [token, name, uid, rest @ ..] = record.as_slice() else {
                let found = record.len();
                return Err(format!(
                    "token file '{path}' must have at least 3 columns (token, user name, user uid), found {found}"
                ));
            };
            if token.is_empty() {
                tracing::warn!(record = number + 1, "empty token has been found in token file {path:?}");
                continue;
            }
            let groups = rest.first().filter(|groups| !groups.is_empty());
            let groups = groups.map(|groups| groups.split(',').map(str::to_owned).collect()).unwrap_or_default();
            let user = Info { name: name.clone(), uid: uid.clone(), groups, ..Info::default() };
            if tokens.insert(digest([token.as_bytes()]), super::with_authenticated(user.into())).is_some() {
                tracing::warn!(record = number + 1, "duplicate token has been found in token file {path:?}");
            }
        }
        Ok(StaticTokens(tokens))
    }

    /// Whose it is.
    pub(super) fn user(&self, token: &str) -> Option<User> {
        self.0.get(&digest([token.as_bytes()])).cloned()
    }
}

#[async_trait]
impl Authenticator for StaticTokens {
    fn name(&self) -> &'static str {
        "tokenfile"
    }

    async fn authenticate(&self, credentials: &Credentials<'_>, _: Timestamp) -> Result<Option<User>, Unauthorized> {
        Ok(bearer_token(credentials).and_then(|token| self.user(&token)))
    }
}

/// The fields of one line (RFC 4180): one that begins with a quote ends at the next that stands alone.
fn fields(line: &str) -> Result<Vec<String>, &'static str> {
    let (mut all, mut rest) = (Vec::new(), line);
    loop {
        let (field, next) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (field, next) = rest.split_at(end);
                if field.contains('"') {
                    return Err("bare \" in non-quoted field");
                }
                (field.to_owned(), next)
            }
        };
        all.push(field);
        match next.strip_prefix(',') {
            Some(next) => rest = next,
            None if next.is_empty() => return Ok(all),
            None => return Err("extraneous or missing \" in quoted-field"),
        }
    }
}

fn quoted_field(mut rest: &str) -> Result<(String, &str), &'static str> {
    let mut field = String::new();
    loop {
        let Some((before, after)) = rest.split_once('"') else { return Err("extraneous or missing \" in quoted-field") };
        field.push_str(before);
        match after.strip_prefix('"') {
            Some(after) => {
                field.push('"');
                rest = after;
            }
            None => return Ok((field, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_is_its_users() {
        let text = "t1,ann,1\nt2,bob,2,\"dev,\"\"ops\"\"\"\n\n,nobody,0\nt3,eve,3,system:masters\n";
        let tokens = StaticTokens::read("f", text).expect("reads");
        let ask = async |header: &'static str| {
            let credentials = Credentials { authorization: Some(header), ..Credentials::default() };
            tokens.authenticate(&credentials, Timestamp::now()).await.expect("no error")
        };
        let ann = ask("Bearer t1").await.expect("known");
        assert_eq!((ann.name.as_str(), ann.uid.as_str()), ("ann", "1"));
        let bob = ask("Bearer t2").await.expect("known");
        assert_eq!(bob.groups, ["dev", "\"ops\"", "system:authenticated"]);
        assert!(ask("Bearer t3").await.expect("known").in_group("system:masters"));
        for header in ["Bearer t4", "Bearer ", "Basic t1", "t1"] {
            assert_eq!(ask(header).await, None, "{header}");
        }
    }

    #[test]
    fn lines_that_are_none_are_refused() {
        let read = |text: &str| StaticTokens::read("f", text).expect_err("refused");
        let few = "token file 'f' must have at least 3 columns (token, user name, user uid), found 2";
        assert_eq!(read("t,ann"), few);
        assert_eq!(read("t,a\"nn,1"), "record on line 1: bare \" in non-quoted field");
        assert_eq!(read("t,ann,1\nt,\"ann,1"), "record on line 2: extraneous or missing \" in quoted-field");
        assert_eq!(read("t,\"ann\"x,1"), "record on line 1: extraneous or missing \" in quoted-field");
    }
}
