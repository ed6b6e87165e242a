//! What becomes of a user's kubeconfig.

use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::json;

use super::*;

struct Home {
    dir: tempfile::TempDir,
    dirs: Dirs,
}

/// A home and a data directory whose cluster is signed for by `authority` and has this server.
fn home(authority: &str, server: &str) -> Home {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    fs::create_dir(&data).expect("made");
    let dirs = Dirs::of(&data);
    fs::write(dirs.kubeconfig(), admin(authority, server)).expect("written");
    Home { dir, dirs }
}

fn admin(authority: &str, server: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: kubernetes\n  cluster: {{certificate-authority-data: {authority}, \
         server: '{server}'}}\nusers:\n- name: admin\n  user: {{client-key-data: KEY}}\ncontexts:\n- name: a\n  context: \
         {{cluster: kubernetes, user: admin}}\ncurrent-context: a\n"
    )
}

impl Home {
    fn path(&self) -> PathBuf {
        self.dir.path().join(".kube/config")
    }

    fn write(&self, text: &str) {
        fs::create_dir_all(self.dir.path().join(".kube")).expect("made");
        fs::write(self.path(), text).expect("written");
    }

    fn read(&self) -> Value {
        parse(&self.path()).expect("is read").expect("is there")
    }

    fn put(&self) -> Merged {
        put(&self.dirs, &self.path()).expect("is put")
    }
}

const OTHERS: &str = "# mine\napiVersion: v1\nkind: Config\nclusters:\n- name: work\n  cluster: {server: 'https://work'}\n\
    users:\n- name: me\n  user: {token: t}\ncontexts:\n- name: work\n  context: {cluster: work, user: me}\n\
    current-context: work\nextensions:\n- name: x\n  extension: {a: 1}\n";

#[test]
fn where_there_was_none_there_is_one_and_then_none_again() {
    let home = home("CA", "https://192.0.2.1:6443");
    assert_eq!(home.put(), Merged { context: "ironclad".to_owned(), is_current: true });
    assert_eq!(fs::metadata(home.path()).expect("is there").permissions().mode() & 0o777, 0o600);
    let file = home.read();
    assert_eq!(file["clusters"][0], json!({"name": "ironclad", "cluster": {"certificate-authority-data": "CA",
        "server": "https://192.0.2.1:6443"}}));
    assert_eq!(file["users"][0], json!({"name": "ironclad", "user": {"client-key-data": "KEY"}}));
    assert_eq!(file["contexts"][0]["context"], json!({"cluster": "ironclad", "user": "ironclad"}));
    assert_eq!(home.put(), Merged { context: "ironclad".to_owned(), is_current: true }, "again");
    assert_eq!(home.read(), file);
    let words = take_out(&home.dirs).expect("is taken out").expect("was there");
    assert_eq!(words, format!("context ironclad in {}", home.path().display()));
    assert!(!home.path().exists());
    assert_eq!(take_out(&home.dirs).expect("nothing is left"), None);
}

#[test]
fn what_is_others_stays() {
    let home = home("CA", "https://192.0.2.1:6443");
    home.write(OTHERS);
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o640)).expect("set");
    let before = home.read();
    assert_eq!(home.put(), Merged { context: "ironclad".to_owned(), is_current: false });
    let file = home.read();
    assert_eq!((&file["current-context"], &file["extensions"]), (&json!("work"), &before["extensions"]));
    assert_eq!(file["clusters"].as_array().map(Vec::len), Some(2));
    assert_eq!(fs::metadata(home.path()).expect("is there").permissions().mode() & 0o777, 0o640);
    take_out(&home.dirs).expect("is taken out").expect("was there");
    assert_eq!(home.read(), before);
}

#[test]
fn the_namespace_of_the_context_is_the_users() {
    let home = home("CA", "https://192.0.2.1:6443");
    home.put();
    let mut file = home.read();
    file["contexts"][0]["context"]["namespace"] = "shop".into();
    home.write(&yaml(&file));
    fs::write(home.dirs.kubeconfig(), admin("CA", "https://192.0.2.7:6443")).expect("written");
    home.put();
    let file = home.read();
    assert_eq!(file["contexts"][0]["context"]["namespace"], "shop");
    assert_eq!(file["clusters"][0]["cluster"]["server"], "https://192.0.2.7:6443");
}

#[test]
fn another_cluster_keeps_the_name_that_it_has() {
    let one = home("CA", "https://192.0.2.1:6443");
    one.put();
    let other = home("CB", "https://192.0.2.1:6444");
    let fallback = format!("ironclad-{}", other.dirs.id);
    assert_eq!(put(&other.dirs, &one.path()).expect("is put"), Merged { context: fallback.clone(), is_current: false });
    assert_eq!(take_out(&one.dirs).expect("is taken out").map(|words| words.contains("ironclad in")), Some(true));
    let left = one.read();
    assert_eq!((&left["clusters"][0]["name"], &left["current-context"]), (&json!(fallback), &json!("")));
    // Its name stays what it was, though the other one is free now.
    assert_eq!(put(&other.dirs, &one.path()).expect("is put").context, fallback);
}

#[test]
fn who_had_our_place_is_gone() {
    let home = home("CA", "https://192.0.2.1:6443");
    home.put();
    fs::remove_file(home.dirs.data.join(RECORD)).expect("removed");
    fs::write(home.dirs.kubeconfig(), admin("NEW", "https://192.0.2.1:6443")).expect("written");
    assert_eq!(home.put().context, "ironclad");
    assert_eq!(home.read()["clusters"][0]["cluster"]["certificate-authority-data"], "NEW");
}

#[test]
fn what_was_replaced_is_not_taken_out() {
    let home = home("CA", "https://192.0.2.1:6443");
    home.put();
    home.write(&admin("CX", "https://192.0.2.1:6443").replace("kubernetes", "ironclad"));
    let before = home.read();
    assert_eq!(take_out(&home.dirs).expect("nothing of ours"), None);
    assert_eq!(home.read(), before);
}

#[test]
fn what_is_no_kubeconfig_is_left_alone_in_words() {
    let home = home("CA", "https://192.0.2.1:6443");
    for (text, why) in [("a: [", "no kubeconfig: yaml"), ("- 1\n", "no kubeconfig")] {
        home.write(text);
        let words = format!("{:#}", put(&home.dirs, &home.path()).expect_err("is none"));
        assert!(words.contains(why), "{words}");
        assert_eq!(fs::read_to_string(home.path()).expect("is there"), text);
    }
    home.write(OTHERS);
    fs::write(home.dir.path().join(".kube/config.lock"), "").expect("written");
    let words = format!("{:#}", put(&home.dirs, &home.path()).expect_err("is locked"));
    assert!(words.contains("config.lock"), "{words}");
}

#[test]
fn a_link_stays_a_link() {
    let home = home("CA", "https://192.0.2.1:6443");
    let real = home.dir.path().join("real");
    fs::write(&real, OTHERS).expect("written");
    fs::create_dir(home.dir.path().join(".kube")).expect("made");
    symlink(&real, home.path()).expect("made");
    home.put();
    assert!(fs::symlink_metadata(home.path()).expect("is there").is_symlink());
    take_out(&home.dirs).expect("is taken out").expect("was there");
    assert!(fs::read_to_string(&real).expect("is there").contains("work"));
}
