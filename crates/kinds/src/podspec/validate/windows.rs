//! Options for containers on Windows: checked, though no node of ours runs them.

use meta::field::{Error, Errors};

use crate::validate::dns_subdomain;
use crate::view::View;

/// `windowsOptions` of a pod or of a container.
pub(super) fn options(options: &View<'_>, errors: &mut Errors) {
    if let Some(name) = options.get("gmsaCredentialSpecName") {
        dns_subdomain(&name, errors);
    }
    if let Some(spec) = options.get("gmsaCredentialSpec") {
        match spec.str().len() {
            0 => errors.push(spec.invalid("gmsaCredentialSpec cannot be an empty string")),
            length if length > 64 * 1024 => errors.push(spec.invalid("gmsaCredentialSpec size must be under 64 KiB")),
            _ => {}
        }
    }
    if let Some(user) = options.get("runAsUserName") {
        errors.extend(user_name(user.str()).into_iter().map(|why| user.invalid(why)));
    }
}

/// `USER` or `DOMAIN\USER`.
fn user_name(text: &str) -> Vec<&'static str> {
    let parts: Vec<&str> = text.split('\\').collect();
    if text.is_empty() {
        return vec!["runAsUserName cannot be an empty string"];
    }
    if text.chars().any(|c| c.is_ascii_control()) {
        return vec!["runAsUserName cannot contain control characters"];
    }
    let (domain, user) = match parts[..] {
        [user] => (None, user),
        [domain, user] => (Some(domain), user),
        _ => return vec!["runAsUserName cannot contain more than one backslash"],
    };
    let wrong = [
        (domain.is_some_and(|d| d.len() >= 256), "runAsUserName's Domain length must be under 256 characters"),
        (domain.is_some_and(|d| !is_domain(d)), "runAsUserName's Domain doesn't match the NetBios nor the DNS format"),
        (user.is_empty(), "runAsUserName's User cannot be empty"),
        (user.len() > 104, "runAsUserName's User length must not be longer than 104 characters"),
        (!user.is_empty() && user.chars().all(|c| matches!(c, '.' | ' ')), "runAsUserName's User cannot contain only periods or spaces"),
        (
            user.contains(|c| r#""/:;|=,+*?<>@[]"#.contains(c)),
            r#"runAsUserName's User cannot contain the following characters: "/\:;|=,+*?<>@[]"#,
        ),
    ];
    wrong.into_iter().filter(|(is, _)| *is).map(|(_, why)| why).collect()
}

fn is_domain(text: &str) -> bool {
    let forbidden = |c: char| r#"\/:*?"<>|"#.contains(c);
    let net_bios = (1..=15).contains(&text.chars().count()) && !text.starts_with('.') && !text.contains(forbidden);
    let label = |label: &str| {
        let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        (1..=63).contains(&label.len()) && inner && !label.starts_with('-') && !label.ends_with('-')
    };
    net_bios || text.split('.').all(label)
}

/// Containers that are processes of the host: all of a pod or none, and on the host's network.
pub(super) fn host_process(spec: &View<'_>, errors: &mut Errors) {
    let own = |of: &View<'_>| of.at("securityContext").at("windowsOptions").at("hostProcess").bool();
    let of_pod = own(spec);
    let (mut all, mut of_host) = (0, 0);
    for container in ["initContainers", "containers", "ephemeralContainers"].into_iter().flat_map(|list| spec.each(list)) {
        all += 1;
        let is = own(&container);
        if let (Some(pod), Some(container_is)) = (of_pod, is)
            && pod != container_is
        {
            let path = container.at("securityContext").at("windowsOptions").at("hostProcess").path;
            errors.push(Error::invalid(&path, container_is, format!("pod hostProcess value must be identical if both are specified, was {pod}")));
        }
        of_host += usize::from(is.or(of_pod) == Some(true));
    }
    if of_host == 0 {
        return;
    }
    if of_host != all {
        let why = "If pod contains any hostProcess containers then all containers must be HostProcess containers";
        errors.push(Error::invalid(&spec.path, "", why));
    }
    if !spec.flag("hostNetwork") {
        let why = "hostNetwork must be true if pod contains any hostProcess containers";
        errors.push(Error::invalid(&spec.path.child("hostNetwork"), false, why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_may_have_a_domain() {
        assert!(user_name("user").is_empty() && user_name(r"corp\user").is_empty() && user_name(r"a.example.com\user").is_empty());
        assert_eq!(user_name(r".x\.."), [
            "runAsUserName's Domain doesn't match the NetBios nor the DNS format",
            "runAsUserName's User cannot contain only periods or spaces",
        ]);
        assert_eq!(user_name(r"a\b\c"), ["runAsUserName cannot contain more than one backslash"]);
    }
}
