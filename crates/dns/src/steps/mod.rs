//! The directives of a Corefile, one file each, in the order in which CoreDNS' plug-ins see a question (`plugin.cfg`).

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use regex::Regex;

use crate::corefile::{Directive, Fault, Files, Word, values};
use crate::limits::PATTERNS;
use crate::metrics::Metrics;
use crate::step::{Site, Step};
use crate::world::World;

mod acl;
mod any;
mod autopath;
pub(crate) mod bind;
mod bufsize;
mod cache;
mod dns64;
mod errors;
mod file;
mod forward;
mod health;
mod hosts;
mod kubernetes;
mod loadbalance;
mod local;
mod log;
mod loop_;
mod minimal;
mod nsid;
mod prometheus;
mod reload;
mod rewrite;
mod template;

/// One directive.
pub(crate) struct Member {
    pub(crate) name: &'static str,
    /// Makes steps of all lines of one server block that begin with the name.
    build: fn(&mut Building<'_>, &[Directive]) -> Result<(), Fault>,
}

/// All of them.
pub(crate) const ALL: &[Member] = &[
    Member { name: "reload", build: reload::build },
    Member { name: "nsid", build: nsid::build },
    Member { name: "bufsize", build: bufsize::build },
    Member { name: "bind", build: bind::build },
    Member { name: "ready", build: health::build_ready },
    Member { name: "health", build: health::build },
    Member { name: "prometheus", build: prometheus::build },
    Member { name: "errors", build: errors::build },
    Member { name: "log", build: log::build },
    Member { name: "local", build: local::build },
    Member { name: "dns64", build: dns64::build },
    Member { name: "any", build: any::build },
    Member { name: "loadbalance", build: loadbalance::build },
    Member { name: "rewrite", build: rewrite::build },
    Member { name: "autopath", build: autopath::build },
    Member { name: "acl", build: acl::build },
    Member { name: "cache", build: cache::build },
    Member { name: "minimal", build: minimal::build },
    Member { name: "template", build: template::build },
    Member { name: "hosts", build: hosts::build },
    Member { name: "kubernetes", build: kubernetes::build },
    Member { name: "file", build: file::build },
    Member { name: "loop", build: loop_::build },
    Member { name: "forward", build: forward::build },
];

/// What CoreDNS has besides.
const OTHERS: &[&str] = &[
    "root", "metadata", "geoip", "cancel", "proxyproto", "quic", "grpc_server", "https", "https3", "timeouts",
    "multisocket", "debug", "trace", "pprof", "shed", "dnstap", "siit", "chaos", "tsig", "header", "dnssec", "tls", "transfer", "dynupdate", "route53",
    "azure", "clouddns", "k8s_external", "auto", "secondary", "etcd", "grpc", "erratic", "whoami", "on", "sign",
    "view", "nomad",
];

/// What steps are made from.
#[derive(Clone)]
pub(crate) struct Environment {
    pub(crate) world: World,
    /// Whether the world is complete.
    pub(crate) synced: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Has the world follow pods.
    pub(crate) pods: Arc<dyn Fn(&World) + Send + Sync>,
    /// Where the server listens.
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    /// Where the machine's name servers are named, and the port that they listen at.
    pub(crate) resolv_conf: PathBuf,
    pub(crate) upstream_port: u16,
    pub(crate) metrics: Arc<Metrics>,
}

/// A site under construction.
pub(crate) struct Building<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) files: &'a Files,
    /// The zones of the server block.
    pub(crate) zones: &'a [String],
    /// Where it is listened at, and where any server block is.
    pub(crate) addresses: &'a [SocketAddr],
    pub(crate) ourselves: &'a [SocketAddr],
    /// All that it says.
    pub(crate) directives: &'a [Directive],
    pub(crate) site: Site,
    /// Regular expressions that may still come.
    pub(crate) patterns: &'a mut usize,
}

impl Building<'_> {
    /// Makes the steps of a server block.
    pub(crate) fn build(mut self) -> Result<Site, Fault> {
        let directives = self.directives;
        if let Some(unknown) = directives.iter().find(|d| ALL.iter().all(|member| member.name != d.name.text)) {
            let name = &unknown.name.text;
            return Err(Fault::at(unknown.name.line, match OTHERS.contains(&name.as_str()) {
                true => format!("directive '{name}' is not supported"),
                false => format!("Unknown directive '{name}'"),
            }));
        }
        for member in ALL {
            let mine: Vec<Directive> = directives.iter().filter(|d| d.name.text == member.name).cloned().collect();
            if !mine.is_empty() {
                (member.build)(&mut self, &mine)?;
            }
        }
        Ok(self.site)
    }

    pub(crate) fn push(&mut self, step: impl Step + 'static) {
        self.site.steps.push(Box::new(step));
    }

    /// A regular expression, of which a Corefile has so many.
    pub(crate) fn pattern(&mut self, word: &Word) -> Result<Regex, Fault> {
        let pattern = values::pattern(word)?;
        match self.patterns.checked_sub(1) {
            None => Err(Fault::at(word.line, format!("more than {PATTERNS} regex patterns"))),
            Some(left) => {
                *self.patterns = left;
                Ok(pattern)
            }
        }
    }
}

/// The only line of a directive that a server block has once.
pub(crate) fn once(directives: &[Directive]) -> Result<&Directive, Fault> {
    match directives {
        [only] => Ok(only),
        all => {
            let line = all.last().map_or(0, |d| d.name.line);
            Err(Fault::at(line, "this plugin can only be used once per Server Block"))
        }
    }
}
