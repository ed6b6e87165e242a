//! Acting as somebody else, for those who may (upstream: `endpoints/filters/impersonation`).

use http::HeaderMap;
use meta::{Attributes, Info, Status, User};
use percent_encoding::percent_decode_str;

use auth::Authorization;
use auth::identity::{self, ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED};

const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const UID: &str = "impersonate-uid";
const EXTRA: &str = "impersonate-extra-";

/// The user that a request is to be carried out as; the caller's own if it says nothing.
pub fn impersonate(caller: User, headers: &HeaderMap, authorization: &Authorization) -> Result<User, Status> {
    let wanted = wanted(headers);
    let Some(wanted) = wanted? else { return Ok(caller) };
    for attributes in permissions(&caller, &wanted) {
        authorization.check(&attributes)?;
    }
    Ok(complete(wanted))
}

fn wanted(headers: &HeaderMap) -> Result<Option<User>, Status> {
    if !headers.keys().any(|name| name.as_str().starts_with("impersonate-")) {
        return Ok(None);
    }
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let mut user = User::from(Info { name: text(USER), uid: text(UID), ..Info::default() });
    user.groups = headers.get_all(GROUP).iter().filter_map(|v| v.to_str().ok().map(str::to_owned)).collect();
    for (name, value) in headers {
        if let (Some(key), Ok(value)) = (name.as_str().strip_prefix(EXTRA), value.to_str()) {
            let key = percent_decode_str(key).decode_utf8_lossy().into_owned();
            user.extra.entry(key).or_default().push(value.to_owned());
        }
    }
    if user.name.is_empty() {
        return Err(Status::bad_request("requested impersonation without impersonating a user"));
    }
    Ok(Some(user))
}

/// What the caller must be allowed, one request a name.
fn permissions(caller: &User, wanted: &User) -> Vec<Attributes> {
    let one = |group: &str, resource: &str, subresource: &str, namespace: &str, name: &str| Attributes {
        user: caller.clone(),
        verb: "impersonate".to_owned(),
        group: group.to_owned(),
        version: "v1".to_owned(),
        resource: resource.to_owned(),
        subresource: subresource.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        ..Attributes::default()
    };
    let mut needed = vec![match identity::split_service_account(&wanted.name) {
        Some((namespace, name)) => one("", "serviceaccounts", "", namespace, name),
        None => one("", "users", "", "", &wanted.name),
    }];
    needed.extend(wanted.groups.iter().map(|g| one("", "groups", "", "", g)));
    for (key, values) in &wanted.extra {
        needed.extend(values.iter().map(|v| one("authentication.k8s.io", "userextras", key, "", v)));
    }
    if !wanted.uid.is_empty() {
        needed.push(one("authentication.k8s.io", "uids", "", "", &wanted.uid));
    }
    needed
}

/// Adds the groups that such a user always has.
fn complete(mut user: User) -> User {
    if user.groups.is_empty() {
        if let Some((namespace, name)) = identity::split_service_account(&user.name) {
            let groups = identity::service_account(namespace, name).groups.clone();
            user.groups = groups;
        }
    }
    let always = if user.name == ANONYMOUS { UNAUTHENTICATED } else { AUTHENTICATED };
    if !user.in_group(AUTHENTICATED) && !user.in_group(UNAUTHENTICATED) {
        user.groups.push(always.to_owned());
    }
    user
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn every_name_needs_its_own_permission() {
        let h = headers(&[(USER, "jane"), (GROUP, "a"), (GROUP, "b"), ("impersonate-extra-x%2fy", "z"), (UID, "1")]);
        let user = wanted(&h).expect("complete").expect("there");
        let caller = User::new("admin", &[]);
        let asked: Vec<_> = permissions(&caller, &user)
            .into_iter()
            .map(|a| format!("{}/{}/{}", a.resource, a.subresource, a.name))
            .collect();
        assert_eq!(asked, ["users//jane", "groups//a", "groups//b", "userextras/x/y/z", "uids//1"]);
        assert!(complete(user).in_group(AUTHENTICATED));
    }

    #[test]
    fn a_group_alone_is_no_user() {
        assert_eq!(wanted(&headers(&[(GROUP, "a")])).expect_err("refused").code, 400);
    }
}
