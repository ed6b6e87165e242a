//! `nsid [DATA]`: who asks which server answers is told so (RFC 5001); without data, the name of the machine.

use super::{Building, once};
use crate::corefile::{Directive, Fault};
use crate::limits::IDENTIFIER;

pub(super) fn build(building: &mut Building<'_>, directives: &[Directive]) -> Result<(), Fault> {
    let directive = once(directives)?;
    let words: Vec<&str> = directive.args.iter().map(|word| word.text.as_str()).collect();
    let host = || nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    let data = if words.is_empty() { host().unwrap_or_else(|| "localhost".to_owned()) } else { words.join(" ") };
    if data.len() > IDENTIFIER {
        return Err(Fault::at(directive.name.line, format!("the identifier is longer than {IDENTIFIER} bytes")));
    }
    building.site.identifier = Some(data);
    Ok(())
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::Message;
    use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption, NSIDPayload};

    use crate::kit::{self, Cluster};

    #[tokio::test]
    async fn who_asks_for_it_is_told_which_server_answers() {
        let told = |message: &Message| {
            match message.edns.as_ref()?.option(EdnsCode::NSID)? {
                EdnsOption::NSID(payload) => String::from_utf8(payload.as_ref().to_vec()).ok(),
                _ => None,
            }
        };
        let mut asks = kit::extended("one.test.", "A", 1232);
        asks.edns.as_mut().expect("an OPT record").options_mut().insert(EdnsOption::NSID(NSIDPayload::new(Vec::new()).expect("no data")));
        let hosts = "hosts {\n 192.0.2.1 one.test\n }";
        let named = Cluster::new(&format!(". {{\n nsid \"site 2\"\n {hosts}\n}}\n"));
        assert_eq!(told(&named.message(&asks).await).as_deref(), Some("site 2"));
        assert_eq!(told(&named.message(&kit::extended("one.test.", "A", 1232)).await), None, "who does not ask");
        assert_eq!(told(&named.message(&asks).await).as_deref(), Some("site 2"), "again");
        let unnamed = Cluster::new(&format!(". {{\n nsid\n {hosts}\n}}\n"));
        let host = nix::unistd::gethostname().expect("a name").into_string().expect("text");
        assert_eq!(told(&unnamed.message(&asks).await), Some(host));
        let without = Cluster::new(&format!(". {{\n {hosts}\n}}\n"));
        assert_eq!(told(&without.message(&asks).await), None);
    }
}
