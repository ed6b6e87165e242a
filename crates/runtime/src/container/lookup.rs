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

/// Largest user or group id, as with every runtime. Greater ones wrap around to root somewhere: the greatest of all
/// means "stay who you are" to the kernel.
const MAX_ID: u32 = i32::MAX as u32;

/// Resolves `user[:group]`; `Err` is a sentence like runc's. A number is a number, whatever an image calls its users.
pub(crate) fn identity(wanted: &str, group: Option<u32>, passwd: &str, groups: &str) -> Result<Identity, String> {
    let (user_name, group_name) = match wanted.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (wanted, None),
    };
    let number = if user_name.is_empty() { Some(0) } else { number(user_name)? };
    let user = users(passwd).find(|u| number.map_or(u.name == user_name, |number| u.uid == number));
    let mut found = match (&user, number) {
        (Some(user), _) => Identity { uid: user.uid, gid: user.gid, groups: Vec::new(), home: user.home.to_owned() },
        (None, Some(uid)) => Identity { uid, ..Identity::default() },
        (None, None) => return Err(format!("unable to find user {user_name}: no matching entries in passwd file")),
    };
    if let Some(name) = group_name.filter(|name| !name.is_empty()) {
        let by_name = || entries(groups).find(|(entry, _, _)| *entry == name).map(|(_, gid, _)| gid);
        found.gid = self::number(name)?
            .or_else(by_name)
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
    match [found.uid, found.gid].iter().chain(&found.groups).all(|id| *id <= MAX_ID) {
        true => Ok(found),
        false => Err(out_of_range()),
    }
}

/// The id that a text of digits stands for; never a name, however long it is.
fn number(text: &str) -> Result<Option<u32>, String> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    text.parse().ok().filter(|id| *id <= MAX_ID).map(Some).ok_or_else(out_of_range)
}

fn out_of_range() -> String {
    format!("uids and gids must be in range 0-{MAX_ID}")
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

    #[test]
    fn numbers_are_no_names_and_none_wraps_to_root() {
        let passwd = "1000:x:0:0::/:\n4294967296:x:0:0::/:\n-1:x:0:0::/:\nbig:x:4294967295:7::/:\nweb:x:5:6::/:\n";
        let groups = "9:x:0:\nhuge:x:4294967295:web\n";
        let of = |user: &str| identity(user, None, passwd, groups).map(|found| (found.uid, found.gid));
        assert_eq!(of("1000"), Ok((1000, 0)), "not the user of that name, who is root");
        assert_eq!(of("1000:9"), Ok((1000, 9)));
        let refused = Err("uids and gids must be in range 0-2147483647".to_owned());
        for user in ["4294967296", "4294967295", "2147483648", "-1", "+4294967295", "big", "1:4294967295", "web", "1:huge"] {
            assert_eq!(of(user), refused, "{user}");
        }
        assert_eq!(identity("1", Some(u32::MAX), "", ""), Err("uids and gids must be in range 0-2147483647".to_owned()));
        assert_eq!(of("2147483647:2147483647"), Ok((2_147_483_647, 2_147_483_647)));
    }
}
