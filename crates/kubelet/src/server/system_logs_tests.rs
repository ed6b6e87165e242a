//! What `/logs/` shows, and what it does not.

use std::fs;
use std::os::unix::fs::symlink;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RANGE};
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use transport::full;

use super::system_logs::*;

struct Logs(tempfile::TempDir);

impl Logs {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("directory");
        fs::create_dir_all(dir.path().join("log/pods/a b")).expect("made");
        fs::write(dir.path().join("log/syslog"), "0123456789").expect("written");
        fs::write(dir.path().join("log/<i>"), [0_u8]).expect("written");
        fs::write(dir.path().join("secret"), "x").expect("written");
        Logs(dir)
    }

    async fn get(&self, path: &str, range: Option<&str>) -> (u16, HeaderMap, String) {
        let mut request = Request::get(format!("/logs/{path}"));
        if let Some(range) = range {
            request = request.header(RANGE, range);
        }
        let request = request.body(full("")).expect("a request");
        let answer = answer(&self.0.path().join("log"), path.replace("%20", " "), &request).await;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.expect("whole").to_bytes();
        (parts.status.as_u16(), parts.headers, String::from_utf8_lossy(&body).into_owned())
    }

    async fn code(&self, path: &str) -> u16 {
        self.get(path, None).await.0
    }
}

#[tokio::test]
async fn files_and_directories_as_go_serves_them() {
    let logs = Logs::new();
    let (code, headers, page) = logs.get("", None).await;
    assert_eq!((code, headers[CONTENT_TYPE].to_str().expect("text")), (200, "text/html; charset=utf-8"));
    let lines: Vec<&str> = page.lines().skip(2).collect();
    assert_eq!(lines, ["<pre>", "<a href=\"%3Ci%3E\">&lt;i&gt;</a>", "<a href=\"pods/\">pods/</a>", "<a href=\"syslog\">syslog</a>", "</pre>"]);
    let (code, headers, body) = logs.get("syslog", None).await;
    assert_eq!((code, body.as_str()), (200, "0123456789"));
    assert_eq!((&headers[CONTENT_TYPE], &headers[CONTENT_LENGTH]), (&number("text/plain; charset=utf-8"), &number("10")));
    for (path, to) in [("pods", "pods/"), ("pods/a%20b", "a%20b/"), ("syslog/", "../syslog")] {
        let (code, headers, _) = logs.get(path, None).await;
        assert_eq!((code, headers[LOCATION].to_str().expect("text")), (301, to), "{path}");
    }
    assert_eq!(logs.get("none", None).await.2, NOT_FOUND);
    assert_eq!(logs.code("syslog/x").await, 404);
}

#[tokio::test]
async fn no_way_leads_out() {
    let logs = Logs::new();
    let at = |name: &str| logs.0.path().join("log").join(name);
    symlink("../secret", at("up")).expect("linked");
    symlink(logs.0.path().join("secret"), at("absolute")).expect("linked");
    symlink("/etc", at("etc")).expect("linked");
    symlink("/proc/self/root/etc/hostname", at("magic")).expect("linked");
    symlink("loop", at("loop")).expect("linked");
    nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRUSR).expect("made");
    for path in ["up", "absolute", "etc/passwd", "magic", "loop", "pipe", "../secret", "pods/../../secret", "a\0b"] {
        let request = Request::get("/logs/x").body(full("")).expect("a request");
        let answer = answer(&logs.0.path().join("log"), path.to_owned(), &request).await;
        assert_eq!(answer.status(), 404, "{path}");
    }
    symlink(at("syslog"), at("inside")).expect("linked");
    assert_eq!(logs.get("inside", None).await.2, "0123456789", "upstream's links to logs are absolute");
}

#[tokio::test]
async fn parts_of_a_file() {
    let logs = Logs::new();
    for (asked, code, body) in [("bytes=2-4", 206, "234"), ("bytes=8-", 206, "89"), ("bytes=-3", 206, "789"), ("bytes=7-99", 206, "789"),
        ("bytes=10-", 416, "invalid range: failed to overlap\n"), ("lines=1-2", 200, "0123456789"), ("bytes=0-1,3-4", 200, "0123456789")] {
        let (found, _, text) = logs.get("syslog", Some(asked)).await;
        assert_eq!((found, text.as_str()), (code, body), "{asked}");
    }
}
