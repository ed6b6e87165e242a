//! Users and groups by the image's own `/etc/passwd` and `/etc/group`.

/// Who the program runs as.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Additional groups.
    pub groups: Vec<u32>,
    /// Home directory; `/` when the image does not say.
    pub home: String,
}

struct User<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

/// Resolves `user[:group]`; `Err` is a sentence like runc's.
pub(crate) fn identity(wanted: &str, group: Option<u32>, passwd: &str, groups: &str) -> Result<Identity, String> {
    let (user_name, group_name) = match wanted.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (wanted, None),
    };
    let number = if user_name.is_empty() { Some(0) } else { user_name.parse::<u32>().ok() };
    let user = users(passwd).find(|u| u.name == user_name || Some(u.uid) == number);
    let mut found = match (&user, number) {
        (Some(user), _) => Identity { uid: user.uid, gid: user.gid, groups: Vec::new(), home: user.home.to_owned() },
        (None, Some(uid)) => Identity { uid, ..Identity::default() },
        (None, None) => return Err(format!("unable to find user {user_name}: no matching entries in passwd file")),
    };
    if let Some(name) = group_name.filter(|name| !name.is_empty()) {
        let by_name = entries(groups).find(|(entry, _, _)| *entry == name).map(|(_, gid, _)| gid);
        found.gid = by_name
            .or_else(|| name.parse().ok())
            .ok_or_else(|| format!("unable to find group {name}: no matching entries in group file"))?;
    }
    if let Some(gid) = group {
        found.gid = gid;
    }
    if let Some(user) = user {
        found.groups = entries(groups)
            .filter(|(_, _, members)| members.split(',').any(|member| member == user.name))
            .map(|(_, gid, _)| gid)
            .collect();
    }
    if found.home.is_empty() {
        found.home.push('/');
    }
    Ok(found)
}

fn users(passwd: &str) -> impl Iterator<Item = User<'_>> {
    passwd.lines().filter_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next()?;
        let uid = parts.nth(1)?.parse().ok()?;
        let gid = parts.next()?.parse().ok()?;
        let home = parts.nth(1).unwrap_or("");
        Some(User { name, uid, gid, home })
    })
}

/// Name, id and members of each group.
fn entries(groups: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    groups.lines().filter_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next()?;
        let gid = parts.nth(1)?.parse().ok()?;
        Some((name, gid, parts.next().unwrap_or("")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nweb:x:101:102:Web:/srv:/bin/false\n";
    const GROUP: &str = "root:x:0:\nweb:x:102:\nlog:x:7:web,other\n";

    fn of(user: &str) -> Result<Identity, String> {
        identity(user, None, PASSWD, GROUP)
    }

    #[test]
    fn names_numbers_and_strangers() {
        let web = Identity { uid: 101, gid: 102, groups: vec![7], home: "/srv".into() };
        assert_eq!(of("web"), Ok(web.clone()));
        assert_eq!(of("101"), Ok(web.clone()));
        assert_eq!(of("web:log"), Ok(Identity { gid: 7, ..web.clone() }));
        assert_eq!(of("web:9"), Ok(Identity { gid: 9, ..web }));
        assert_eq!(of("5000"), Ok(Identity { uid: 5000, gid: 0, groups: vec![], home: "/".into() }));
        assert_eq!(of("").map(|i| i.home), Ok("/root".into()));
        assert_eq!(of("nobody"), Err("unable to find user nobody: no matching entries in passwd file".into()));
    }
}
