//! Plug-ins that are shell commands.

use std::path::PathBuf;
use std::time::Duration;

use super::*;

/// A plug-in that writes down what it was asked, and answers with what a shell makes of this.
struct Shell {
    providers: Providers,
    log: PathBuf,
    _dir: tempfile::TempDir,
}

fn shell(script: &str, holds: u64) -> Shell {
    let dir = tempfile::tempdir().expect("a directory");
    let log = dir.path().join("log");
    let plugin = Plugin {
        name: "sh".to_owned(),
        program: "/bin/sh".into(),
        args: vec!["-c".to_owned(), format!("cat >>\"$LOG\"; echo >>\"$LOG\"; {script}")],
        env: vec![("LOG".to_owned(), log.display().to_string())],
        version: "credentialprovider.kubelet.k8s.io/v1".to_owned(),
        images: vec!["*.io".to_owned()],
        holds: Duration::from_secs(holds),
    };
    let provider = Provider { plugin, answers: Mutex::default(), asking: Mutex::default() };
    Shell { providers: Providers(vec![Arc::new(provider)]), log, _dir: dir }
}

fn response(scope: &str, more: &str) -> String {
    format!(
        "echo '{{\"kind\": \"CredentialProviderResponse\", \"apiVersion\": \"credentialprovider.kubelet.k8s.io/v1\", \
         \"cacheKeyType\": \"{scope}\"{more}, \"auth\": {{\"*.io\": {{\"username\": \"all\", \"password\": \"p\"}}, \
         \"r.io/team\": {{\"username\": \"team\", \"password\": \"p\"}}}}}}'"
    )
}

impl Shell {
    async fn users(&self, image: &str) -> Vec<String> {
        let known = self.providers.for_image(image).await;
        assert!(known.iter().all(|known| known.source.is_none()), "they are the node's");
        known.into_iter().map(|known| known.credentials.username).collect()
    }

    /// What it was asked for.
    fn asked(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let image = |line: &str| {
            let request: serde_json::Value = serde_json::from_str(line).expect("a request");
            assert_eq!(request["kind"], "CredentialProviderRequest");
            request["image"].as_str().expect("an image").to_owned()
        };
        text.lines().map(image).collect()
    }
}

#[tokio::test]
async fn answers_hold_for_what_they_say() {
    for (scope, asked) in [("Image", 3), ("Registry", 2), ("Global", 1)] {
        let shell = shell(&response(scope, ""), 3600);
        assert_eq!(shell.users("r.io/team/a:1").await, ["team", "all"]);
        assert_eq!(shell.users("r.io/team/a:2").await, ["team", "all"], "another tag");
        assert_eq!(shell.users("r.io/b").await, ["all"]);
        assert_eq!(shell.users("q.io/c").await, ["all"]);
        assert!(shell.users("example.com/d").await.is_empty(), "it is not asked for that");
        assert_eq!(shell.asked().len(), asked, "{scope}");
        assert_eq!(shell.asked()[0], "r.io/team/a");
    }
}

#[tokio::test]
async fn what_does_not_hold_is_asked_again_but_once_for_all_who_wait() {
    for (more, holds, asked) in [("", 0, 2), (", \"cacheDuration\": \"0s\"", 3600, 2), (", \"cacheDuration\": \"1h\"", 0, 1)] {
        let shell = shell(&response("Image", more), holds);
        shell.users("r.io/a").await;
        shell.users("r.io/a").await;
        assert_eq!(shell.asked().len(), asked, "{more} {holds}");
    }
    let shell = shell(&response("Image", ""), 3600);
    let all = futures::future::join_all((0..10).map(|_| shell.users("r.io/a"))).await;
    assert!(all.iter().all(|users| users == &["all"]));
    assert_eq!(shell.asked().len(), 1);
    assert!(shell.providers.0[0].asking.lock().expect("lock").is_empty(), "names that nobody asks for are not kept");
}

#[tokio::test]
async fn who_fails_knows_nothing_and_tells_no_secret() {
    for (script, why) in [
        ("echo no >&2; exit 3", "error execing credential provider plugin sh for image r.io/a: exit status: 3: no"),
        ("echo '{\"password\": \"secret'", "error decoding credential provider plugin response from stdout"),
        (&response("Image", "").replace("v1\"", "v2\""), "did not match expected apiVersion:credentialprovider.kubelet.k8s.io/v1"),
        (&response("Planet", ""), "credential provider plugin did not return a valid cacheKeyType: Planet"),
        ("yes | head -c 3000000", "error decoding credential provider plugin response from stdout"),
    ] {
        let shell = shell(script, 3600);
        let error = exec::ask(&shell.providers.0[0].plugin, "r.io/a").await.expect_err(script);
        assert!(error.contains(why) && !error.contains("secret"), "{error}");
        assert!(shell.users("r.io/a").await.is_empty());
    }
}
