//! `acl [ZONES...]`: who may ask for what. The first policy that fits decides; where none does, the next line is asked.

use std::net::IpAddr;
use std::str::FromStr;

use futures::future::BoxFuture;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::Building;
use crate::corefile::{Directive, Fault, Word, zones};
use crate::message::{Question, Said};
use crate::step::{Asker, Outcome, Rest, Step};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// The question goes on.
    Allow,
    /// It is refused.
    Block,
    /// Its answer is empty.
    Filter,
    /// It has no answer.
    Drop,
}

/// What becomes of some questions of some clients; empty lists mean all.
struct Policy {
    action: Action,
    types: Vec<RecordType>,
    nets: Vec<Net>,
}

/// An address and how many of its bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Net(IpAddr, u32);

impl Net {
    /// `10.0.0.0/8`, or one address.
    fn read(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address = IpAddr::from_str(address).ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
        (bits <= most).then_some(Net(address, bits))
    }

    fn contains(self, client: IpAddr) -> bool {
        match (self.0, client) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => (net.to_bits() ^ ip.to_bits()).checked_shr(32 - self.1).unwrap_or(0) == 0,
            (IpAddr::V6(net), IpAddr::V6(ip)) => (net.to_bits() ^ ip.to_bits()).checked_shr(128 - self.1).unwrap_or(0) == 0,
            _ => false,
        }
    }
}

struct Acl(Vec<(Vec<String>, Vec<Policy>)>);

pub(super) fn build(building: &mut Building<'_>, directives: &[Directive]) -> Result<(), Fault> {
    let mut rules = Vec::new();
    for directive in directives {
        let policies = directive.lines.iter().map(|line| policy(line)).collect::<Result<_, _>>()?;
        rules.push((zones::origins(&directive.args, building.zones)?, policies));
    }
    building.push(Acl(rules));
    Ok(())
}

fn policy(line: &[Word]) -> Result<Policy, Fault> {
    let Some((word, rest)) = line.split_first() else { unreachable!("a line has a word") };
    let action = match &*word.text.to_lowercase() {
        "allow" => Action::Allow,
        "block" => Action::Block,
        "filter" => Action::Filter,
        "drop" => Action::Drop,
        _ => {
            let why = format!("unexpected token {:?}; expect 'allow', 'block', 'filter' or 'drop'", word.text);
            return Err(Fault::at(word.line, why));
        }
    };
    let is_section = |word: &Word| matches!(&*word.text.to_lowercase(), "type" | "net");
    let mut policy = Policy { action, types: Vec::new(), nets: Vec::new() };
    let mut rest = rest;
    while let Some((section, words)) = rest.split_first() {
        if !is_section(section) {
            return Err(Fault::at(section.line, format!("unexpected token {:?}; expect 'type | net'", section.text)));
        }
        let end = words.iter().position(is_section).unwrap_or(words.len());
        let (mine, others) = words.split_at(end);
        rest = others;
        let name = section.text.to_lowercase();
        if mine.is_empty() {
            return Err(Fault::at(section.line, format!("no token specified in {name:?} section")));
        }
        let all = mine.iter().any(|word| word.text == "*");
        match &*name {
            _ if all => {}
            "type" => policy.types = mine.iter().map(record_type).collect::<Result<_, _>>()?,
            _ => policy.nets = mine.iter().map(net).collect::<Result<_, _>>()?,
        }
    }
    Ok(policy)
}

fn net(word: &Word) -> Result<Net, Fault> {
    Net::read(&word.text).ok_or_else(|| Fault::at(word.line, format!("illegal CIDR notation {:?}", word.text)))
}

fn record_type(word: &Word) -> Result<RecordType, Fault> {
    let wrong = || Fault::at(word.line, format!("unexpected token {:?}; expect legal QTYPE", word.text));
    RecordType::from_str(&word.text).map_err(|_| wrong())
}

impl Acl {
    /// What is done with a question of a client.
    fn action(&self, client: IpAddr, question: &Question) -> Action {
        let rules = self.0.iter().filter(|(zones, _)| zones.iter().any(|zone| zones::within(&question.name, zone)));
        let mut policies = rules.flat_map(|(_, policies)| policies);
        let fits = |policy: &&Policy| {
            let asked = policy.types.is_empty() || policy.types.contains(&question.kind);
            asked && (policy.nets.is_empty() || policy.nets.iter().any(|net| net.contains(client)))
        };
        policies.find(fits).map_or(Action::Allow, |policy| policy.action)
    }
}

impl Step for Acl {
    fn answer<'a>(&'a self, asker: &'a Asker, question: Question, rest: Rest<'a>) -> BoxFuture<'a, Outcome> {
        // The next who asks the same may be another client.
        asker.changes();
        match self.action(asker.asked.client, &question) {
            Action::Allow => rest.answer(asker, question),
            Action::Block => Box::pin(async { Ok(Said::code(ResponseCode::Refused)) }),
            Action::Filter => Box::pin(async { Ok(Said::code(ResponseCode::NoError)) }),
            Action::Drop => {
                asker.drops();
                Box::pin(async { Ok(Said::code(ResponseCode::NoError)) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::{self, CLIENT, Cluster};

    fn corefile(acl: &str) -> String {
        format!(". {{\n acl {{\n{acl}\n }}\n hosts {{\n 192.0.2.1 one.test\n 192.0.2.2 two.test\n }}\n}}\n")
    }

    #[tokio::test]
    async fn the_first_policy_that_fits_decides() {
        let says = async |acl: &str, name: &str, kind: &str| Cluster::new(&corefile(acl)).ask(name, kind).await;
        let one = "NOERROR aa | one.test. 3600 A 192.0.2.1";
        assert_eq!(says("allow", "one.test.", "A").await, one);
        assert!(says("block", "one.test.", "A").await.starts_with("REFUSED"));
        assert!(!says("filter", "one.test.", "A").await.contains("192.0.2.1"));
        assert_eq!(says("allow net 10.244.0.0/16\nblock", "one.test.", "A").await, one);
        assert!(says("allow net 10.245.0.0/16\nblock", "one.test.", "A").await.starts_with("REFUSED"));
        assert_eq!(says("block type AAAA MX net *", "one.test.", "A").await, one);
        assert!(says("block type A", "one.test.", "A").await.starts_with("REFUSED"));
        let asked = kit::question("one.test.", "A").to_vec().expect("bytes");
        assert!(Cluster::new(&corefile("drop type A")).send(&asked, false).await.is_none(), "there is no answer");
        assert_eq!(says("drop type MX", "one.test.", "A").await, one);
        let zone = corefile("block").replace("acl {", "acl two.test {");
        let cluster = Cluster::new(&zone);
        assert_eq!(cluster.ask("one.test.", "A").await, one);
        assert!(cluster.ask("two.test.", "A").await.starts_with("REFUSED"));
    }

    #[tokio::test]
    async fn what_is_kept_for_one_client_is_not_given_to_another() {
        let cluster = Cluster::new(&corefile(&format!("allow net {CLIENT}\nblock")));
        assert!(cluster.ask("one.test.", "A").await.contains("192.0.2.1"));
        let other = "10.244.0.78".parse().expect("an address");
        let asked = kit::question("one.test.", "A").to_vec().expect("bytes");
        assert!(!cluster.slot.again(&asked, &mut Vec::new()), "it is kept for whoever asks in the same words");
        let said = cluster.send_from(&asked, false, other).await.expect("an answer");
        let said = hickory_proto::op::Message::from_vec(&said).expect("a message");
        assert_eq!(said.metadata.response_code, ResponseCode::Refused);
    }

    #[test]
    fn networks_have_as_many_bits_as_they_say() {
        let contains = |text: &str, ip: &str| Net::read(text).expect("a network").contains(ip.parse().expect("an address"));
        assert!(contains("0.0.0.0/0", "192.0.2.1") && !contains("0.0.0.0/0", "::1") && contains("::/0", "::1"));
        assert!(contains("192.0.2.0/25", "192.0.2.127") && !contains("192.0.2.0/25", "192.0.2.128"));
        assert!(contains("fd00::1", "fd00::1") && !contains("fd00::1", "fd00::2"));
        assert!(["192.0.2.0/33", "::/129", "x", "192.0.2.0/x"].iter().all(|text| Net::read(text).is_none()));
    }
}
