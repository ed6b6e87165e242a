//! The query string of a request.

/// Parameters in the order given, decoded.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

/// A parameter whose value has the wrong type; the message is upstream's, which is that of Go's `strconv`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(String);

impl Query {
    /// Reads `a=b&c=d%20e`.
    pub fn parse(text: &str) -> Self {
        if text.is_empty() {
            return Query::default();
        }
        // Go leaves out what is broken.
        let whole = |pair: &&str| !pair.contains(';') && escapes_are_whole(pair);
        let pairs = text.split('&').filter(whole).flat_map(|pair| form_urlencoded::parse(pair.as_bytes()).into_owned());
        Query(pairs.collect())
    }

    /// The first value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The first value, or `""`.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// All values of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// All parameters.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// A whole number; absent and empty are the same.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, ParseError> {
        let Some(text) = self.get(name).filter(|t| !t.is_empty()) else { return Ok(None) };
        let wrong = |_| ParseError(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"));
        text.parse().map(Some).map_err(wrong)
    }

    /// A boolean as upstream's conversion of query parameters reads it: `false` and `0` (in any case) are
    /// false, every other value, the empty one included, is true.
    pub fn boolean(&self, name: &str) -> Option<bool> {
        self.get(name).map(|text| !(text.eq_ignore_ascii_case("false") || text == "0"))
    }

    /// The parameters again as a query string, those for which `keep` holds.
    pub fn encode(&self, keep: impl Fn(&str) -> bool) -> String {
        let kept = self.pairs().filter(|(name, _)| keep(name));
        form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).finish()
    }
}

/// Whether two digits follow each percent sign.
fn escapes_are_whole(text: &str) -> bool {
    let digits = |rest: &str| rest.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
    text.split('%').skip(1).all(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_typed() {
        let q = Query::parse("a=1&b=x%20y&b=z&c&d=FALSE&e=1x");
        assert_eq!(q.integer("a"), Ok(Some(1)));
        assert_eq!(q.all("b").collect::<Vec<_>>(), ["x y", "z"]);
        assert_eq!((q.boolean("c"), q.boolean("d"), q.boolean("x")), (Some(true), Some(false), None));
        let error = q.integer("e").expect_err("no number").to_string();
        assert_eq!(error, r#"strconv.ParseInt: parsing "1x": invalid syntax"#);
        assert_eq!(q.encode(|n| n == "b"), "b=x+y&b=z");
    }
}
