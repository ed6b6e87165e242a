//! What the machine is called and by which address it is reached.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result, bail};
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrIn;

use super::Options;

const ADVERTISE: &str = "--apiserver-advertise-address";

/// The machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its host name.
    pub hostname: String,
    /// Name of its Node object.
    pub node: String,
    /// Its address in the cluster.
    pub address: IpAddr,
}

impl Machine {
    /// Looks, and takes the options' word where they give one.
    pub fn look(options: &Options) -> Result<Self> {
        let hostname = nix::unistd::gethostname().context("read the host name")?.to_string_lossy().into_owned();
        // Upstream: `nodeutil.GetHostname`.
        let node = options.node_name.as_ref().unwrap_or(&hostname).trim().to_lowercase();
        if let Some(why) = meta::text::dns1123_subdomain(&node, false).first() {
            bail!("{node:?} cannot name a node: {why}; choose another name with --node-name");
        }
        // Without any network the bridge is the one place where node and pods meet.
        let found = || find().unwrap_or(IpAddr::V4(gateway(options)));
        Ok(Machine { hostname, node, address: options.advertise.unwrap_or_else(found) })
    }
}

impl Machine {
    /// The API server's URL.
    pub fn server(&self, options: &Options) -> String {
        format!("https://{}:{}", self.address, options.port)
    }
}

/// Refuses addresses under which nobody else would reach the API server.
pub fn check(options: &Options) -> Result<()> {
    let Some(address) = options.advertise else { return Ok(()) };
    let IpAddr::V4(given) = address else {
        bail!("the API server listens at addresses of IPv4, and {address} is none: choose another with {ADVERTISE}, or leave it out");
    };
    let why = match given {
        _ if given.is_unspecified() => "means all addresses, and none that others could use",
        _ if given.is_loopback() => "is reached from this machine alone, and not by pods",
        _ if given.is_multicast() || given.is_broadcast() => "is no address of one machine",
        _ if given == gateway(options) || own().any(|(_, own)| own == given) => return Ok(()),
        _ => "is no address of this machine",
    };
    let own: Vec<String> = own().filter(|(_, own)| !own.is_loopback()).map(|(link, own)| format!("{own} ({link})")).collect();
    let choice = if own.is_empty() { String::new() } else { format!(" out of {}", own.join(", ")) };
    bail!("{given} {why}: choose another with {ADVERTISE}{choice}, or leave it out")
}

/// Addresses of the machine's links that are no cluster's, with their links.
fn own() -> impl Iterator<Item = (String, Ipv4Addr)> {
    let all = getifaddrs().into_iter().flatten().filter(|link| !network::Names::is_any(&link.interface_name));
    all.filter_map(|link| Some((link.interface_name, link.address?.as_sockaddr_in().map(SockaddrIn::ip)?)))
}

/// The pods' gateway on this node.
pub fn gateway(options: &Options) -> Ipv4Addr {
    options.node_pods().hosts().next().unwrap_or(options.node_pods().addr())
}

/// The address of the link with the default route; else the first of any link that is up.
pub fn find() -> Option<IpAddr> {
    let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
    let default = routes.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace();
        let (link, destination) = (fields.next()?, fields.next()?);
        (destination == "00000000").then(|| link.to_owned())
    });
    let usable = |flags: InterfaceFlags, name: &str| {
        flags.contains(InterfaceFlags::IFF_UP)
            && !flags.contains(InterfaceFlags::IFF_LOOPBACK)
            && !network::Names::is_any(name)
    };
    let found: Vec<(String, Ipv4Addr)> = getifaddrs()
        .ok()?
        .filter(|link| usable(link.flags, &link.interface_name))
        .filter_map(|link| {
            let address = link.address.as_ref()?.as_sockaddr_in().map(SockaddrIn::ip)?;
            (!address.is_link_local()).then_some((link.interface_name, address))
        })
        .collect();
    let by_default = found.iter().find(|(link, _)| Some(link) == default.as_ref());
    by_default.or(found.first()).map(|(_, address)| IpAddr::V4(*address))
}
