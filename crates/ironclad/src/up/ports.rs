//! Ports that the cluster listens at: who has them already, and how another is chosen.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket, sockopt};

use super::Options;
use super::actors::DNS_PORT;
use super::machine::gateway;
use crate::clusters;

/// Ports that are tried in place of one that is taken.
const TRIES: u16 = 100;
/// `TCP_LISTEN` in the kernel's lists.
const LISTENS: &str = "0A";

/// Refuses what somebody has of the ports that the command line names.
pub fn check(options: &Options) -> Result<()> {
    let own = [(options.port, "--apiserver-bind-port"), (options.kubelet_port, "--kubelet-port")];
    if options.port == options.kubelet_port {
        bail!("the API server and the node agent cannot both have port {}: choose another with --kubelet-port", options.port);
    }
    for (port, flag) in own {
        if is_free(port).with_context(|| format!("try port {port}"))? {
            continue;
        }
        let taken = |port: u16| own.iter().any(|(other, _)| *other == port) || !is_free(port).unwrap_or(false);
        let other = (port..=port.saturating_add(TRIES)).find(|port| !taken(*port));
        let other = other.map(|port| format!(" ({port} is free)")).unwrap_or_default();
        bail!("port {port} is in use by {}: end it, or choose another port with {flag}{other}", holder(&["tcp", "tcp6"], port));
    }
    Ok(())
}

fn is_free(port: u16) -> io::Result<bool> {
    match TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)) {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == ErrorKind::AddrInUse => Ok(false),
        Err(e) => Err(e),
    }
}

/// Cluster DNS is asked at an address that may not be there yet: only who listens at all addresses is in its way.
pub fn check_dns(options: &Options) -> Result<()> {
    let address = gateway(options);
    for (kind, name, lists) in
        [(SockType::Datagram, "UDP", ["udp", "udp6"]), (SockType::Stream, "TCP", ["tcp", "tcp6"])]
    {
        let tried = bind_before_it_is_there(kind, SocketAddrV4::new(address, DNS_PORT));
        if tried == Err(Errno::EADDRINUSE) {
            bail!(
                "cluster DNS cannot have {name} port {DNS_PORT} of the pods' gateway {address}: it is in use by {}, which \
                 listens at all addresses; end it, or have it listen at chosen ones (dnsmasq: `bind-interfaces`)",
                holder(&lists, DNS_PORT)
            );
        }
        tried.with_context(|| format!("try port {DNS_PORT}"))?;
    }
    Ok(())
}

fn bind_before_it_is_there(kind: SockType, address: SocketAddrV4) -> nix::Result<()> {
    let tried = socket(AddressFamily::Inet, kind, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&tried, sockopt::IpFreebind, &true)?;
    if kind == SockType::Stream {
        // Connections that have ended a moment ago are in nobody's way.
        setsockopt(&tried, sockopt::ReuseAddr, &true)?;
    }
    bind(tried.as_raw_fd(), &SockaddrIn::from(address))
}

/// Who has a port, for people.
fn holder(lists: &[&str], port: u16) -> String {
    let Some(pid) = process(lists, port) else { return "another program".to_owned() };
    let clusters = clusters::all();
    if let Some(cluster) = clusters.iter().find(|cluster| cluster.pid == Some(pid)) {
        return cluster.whose();
    }
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    format!("{} (process {pid})", if name.is_empty() { "another program" } else { name.trim() })
}

fn process(lists: &[&str], port: u16) -> Option<u32> {
    let read = |list: &&str| fs::read_to_string(format!("/proc/self/net/{list}")).unwrap_or_default();
    let sockets: Vec<String> =
        lists.iter().flat_map(|list| listening(&read(list), list.starts_with("tcp"), port)).collect();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        open.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|to| sockets.iter().any(|s| to.as_os_str() == s.as_str()))
    })
}

/// Sockets at a port, as links to them read (proc_pid_net(5)).
fn listening(list: &str, is_tcp: bool, port: u16) -> Vec<String> {
    let socket = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        let at = u16::from_str_radix(local.rsplit(':').next()?, 16).ok()?;
        (at == port && (!is_tcp || *state == LISTENS)).then(|| format!("socket:[{inode}]"))
    };
    list.lines().skip(1).filter_map(socket).collect()
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn who_listens_is_found() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        assert!(!is_free(port).expect("is tried"));
        assert_eq!(process(&["tcp", "tcp6"], port), Some(std::process::id()));
        let name = fs::read_to_string("/proc/self/comm").expect("a name");
        assert_eq!(holder(&["tcp"], port), format!("{} (process {})", name.trim(), std::process::id()));
        drop(listener);
        assert_eq!(process(&["tcp", "tcp6"], port), None);
    }

    #[test]
    fn an_address_that_is_not_there_is_taken_by_who_has_all() {
        let all = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
        let port = all.local_addr().expect("an address").port();
        // TEST-NET-1: nobody's.
        let address = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 9), port);
        assert_eq!(bind_before_it_is_there(SockType::Datagram, address), Err(Errno::EADDRINUSE));
        drop(all);
        let one = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).expect("is free");
        assert_eq!(bind_before_it_is_there(SockType::Datagram, address), Ok(()), "that of others is in nobody's way");
        drop(one);
    }

    #[test]
    fn of_streams_only_listeners_count() {
        let list = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 00000000:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 77 1 0 100 0 0 10 0\n   \
            1: 0100007F:192B 0100007F:C000 01 00000000:00000000 00:00000000 00000000     0        0 78 1 0 20 4 30 10 -1\n";
        assert_eq!(listening(list, true, 0x192b), ["socket:[77]"]);
        assert_eq!(listening(list, false, 0x192b).len(), 2);
        assert_eq!(listening(list, true, 0x192c), Vec::<String>::new());
    }
}
