//! `bind ADDRESS|INTERFACE...`: where the questions of a server block are listened for. The addresses of an interface are
//! those that it has when the Corefile is taken.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::SockaddrStorage;

use super::{Building, Environment};
use crate::corefile::{Directive, Fault, Word};

/// What it says is done before steps are made: [`addresses`].
pub(super) fn build(_: &mut Building<'_>, _: &[Directive]) -> Result<(), Fault> {
    Ok(())
}

/// An interface and one of its addresses.
type Interface = (String, SocketAddr);

/// Where a server block with these directives is listened at; ports are 0. Without `bind` it is the server's own address,
/// and so is the address that stands for any.
pub(crate) fn addresses(environment: &Environment, directives: &[Directive]) -> Result<Vec<SocketAddr>, Fault> {
    let own = SocketAddr::new(environment.address, 0);
    let mine: Vec<&Directive> = directives.iter().filter(|directive| directive.name.text == "bind").collect();
    let Some(last) = mine.last() else { return Ok(vec![own]) };
    let interfaces = interfaces();
    let mut all: Vec<SocketAddr> = Vec::new();
    for directive in &mine {
        let except = except(directive)?;
        if directive.args.is_empty() {
            return Err(Fault::at(directive.name.line, "at least one address or interface name is expected"));
        }
        let except = listed(&except, &interfaces)?;
        for address in listed(&directive.args, &interfaces)?.into_iter().filter(|address| !except.contains(address)) {
            let address = if address.ip().is_unspecified() { own } else { address };
            if !all.contains(&address) {
                all.push(address);
            }
        }
    }
    match all.is_empty() {
        true => Err(Fault::at(last.name.line, "there is no address left to listen at")),
        false => Ok(all),
    }
}

/// What the block's lines `except` name.
fn except(directive: &Directive) -> Result<Vec<Word>, Fault> {
    let mut except = Vec::new();
    for line in &directive.lines {
        match &line[..] {
            [name, args @ ..] if name.text == "except" && !args.is_empty() => except = args.to_vec(),
            [name, ..] if name.text == "except" => {
                let why = "at least one address or interface must be given to except subdirective";
                return Err(Fault::at(name.line, why));
            }
            [name, ..] => return Err(Fault::at(name.line, format!("invalid option {:?}", name.text))),
            [] => {}
        }
    }
    Ok(except)
}

fn listed(words: &[Word], interfaces: &[Interface]) -> Result<Vec<SocketAddr>, Fault> {
    let mut all = Vec::new();
    for word in words {
        let of_interface = interfaces.iter().filter(|(name, _)| *name == word.text).map(|(_, address)| *address);
        let before = all.len();
        all.extend(of_interface);
        if all.len() == before {
            let wrong = || Fault::at(word.line, format!("not a valid IP address or interface name: {:?}", word.text));
            all.push(SocketAddr::new(word.text.parse::<IpAddr>().map_err(|_| wrong())?, 0));
        }
    }
    Ok(all)
}

/// Those of the machine; none if it does not tell them.
fn interfaces() -> Vec<Interface> {
    let found = getifaddrs().map(|all| all.filter_map(|one| Some((one.interface_name, address(&one.address?)?))));
    found.map(Iterator::collect).unwrap_or_default()
}

fn address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::new(v4.ip().into(), 0));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::V6(SocketAddrV6::new(v6.ip(), 0, 0, v6.scope_id()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corefile::{Files, blocks};
    use crate::kit;

    fn said(text: &str) -> Result<Vec<String>, Fault> {
        let blocks = blocks(&format!(". {{\n{text}\n}}\n"), &Files::new())?;
        let all = addresses(&kit::environment(), &blocks[0].directives)?;
        Ok(all.iter().map(|address| address.ip().to_string()).collect())
    }

    #[test]
    fn addresses_and_interfaces_are_listened_at() {
        assert_eq!(said("errors"), Ok(vec!["10.244.0.1".to_owned()]), "its own");
        assert_eq!(said("bind 0.0.0.0 ::"), Ok(vec!["10.244.0.1".to_owned()]));
        assert_eq!(said("bind 192.0.2.1 ::1\nbind 192.0.2.2 192.0.2.1"), Ok(["192.0.2.1", "::1", "192.0.2.2"].map(str::to_owned).to_vec()));
        let loopback = said("bind lo").expect("its addresses");
        assert!(loopback.contains(&"127.0.0.1".to_owned()), "{loopback:?}");
        let rest = said("bind lo 192.0.2.1 {\n except 127.0.0.1\n}").expect("the others");
        assert!(!rest.contains(&"127.0.0.1".to_owned()) && rest.contains(&"192.0.2.1".to_owned()), "{rest:?}");
    }

    #[test]
    fn what_is_neither_is_refused_with_its_line() {
        for (text, why) in [
            ("bind", "at least one address or interface name is expected"),
            ("bind nosuch0", "not a valid IP address or interface name: \"nosuch0\""),
            ("bind ::1 {\n except\n}", "at least one address or interface must be given to except subdirective"),
            ("bind ::1 {\n only ::1\n}", "invalid option \"only\""),
            ("bind ::1 {\n except ::1\n}", "there is no address left to listen at"),
        ] {
            let fault = said(text).expect_err(text);
            assert!(fault.why == why && fault.line >= 2, "{text}: {fault}");
        }
    }
}
