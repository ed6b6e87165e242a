//! What the plug-ins say to changes of requests for certificates.

use async_trait::async_trait;
use meta::{Gvk, Key, Object, Status, User};
use serde_json::{Value, json};

use super::super::{Context, Make, node_restriction};
use super::*;
use crate::{Lookup, Warnings};

/// A request of joe, who wants to be of `system:masters`.
const REQUEST: &str = "\
LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIaE1JR0pBZ0VBTUNjeEZ6QVZCZ05WQkFvTURuTjVjM1JsYlRwdFlYTjBaWE\
p6TVF3d0NnWURWUVFEREFOcQpiMlV3V1RBVEJnY3Foa2pPUFFJQkJnZ3Foa2pPUFFNQkJ3TkNBQVQ0M3c0azcvcFRNZ2FDRkhjU2d1VVFhS1R0\
CjdpR2dPU3J3U1FzQ1BJV1VUNVQrU3NQYnBRczBVMGdzQ0cxZ0NUYWVTRWUvM2RGQkhCTjVuQnlXYlhuWW9BQXcKQ2dZSUtvWkl6ajBFQXdJRF\
J3QXdSQUlnWUdsQ3RlMzlQZkM5Y01ubTFaaWJ0SnBTeFp6SWt2dU1pY1J4cnVmYgpyZjhDSUFEWFY0YTRRN01LeUdtcnk1MThGSHhIdWJkNU5w\
MFVMRzJRUU5XeEVtbncKLS0tLS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0tCg==\
";

/// There is nothing else.
struct Nothing;

#[async_trait]
impl Lookup for Nothing {
    async fn get(&self, _: &str, _: &str, _: &Key) -> Result<Option<Arc<Object>>, Status> {
        Ok(None)
    }

    async fn list(&self, _: &str, _: &str, _: Option<&str>) -> Result<Vec<Arc<Object>>, Status> {
        Ok(Vec::new())
    }
}

fn object(value: Value) -> Object {
    Object::from_value(value).expect("an object")
}

/// What a plug-in says to a change of a part of a request for a certificate.
async fn said(make: Make, context: &Context, user: &str, part: &str, new: &Object, old: Option<&Object>) -> String {
    said_to(make, context, User::new(user, &[]), part, new, old).await
}

async fn said_to(make: Make, context: &Context, user: User, part: &str, new: &Object, old: Option<&Object>) -> String {
    let attributes = Attributes {
        user,
        group: GROUP.to_owned(),
        resource: "certificatesigningrequests".to_owned(),
        subresource: part.to_owned(),
        name: "joe".to_owned(),
        ..Attributes::default()
    };
    let operation = if old.is_some() { Operation::Update } else { Operation::Create };
    let (gvk, mut new) = (Gvk::new(GROUP, "v1", "CertificateSigningRequest"), new.clone());
    let request = Request {
        attributes: &attributes,
        gvk: &gvk,
        operation,
        object: Some(&mut new),
        old,
        dry_run: false,
        warnings: Warnings::default(),
    };
    let (plugin, mut request) = (make(context), request);
    let done = plugin.mutate(&mut request, &Nothing).await;
    let done = if done.is_ok() { plugin.validate(&request, &Nothing).await } else { done };
    done.map_or_else(|status| status.message, |()| String::new())
}

/// Ann may do everything for one signer, Bea for all of the domain.
fn context() -> Context {
    let authorization: Arc<Authorization> = Arc::default();
    let role = |name: &str, signer: &str| {
        let rules = json!([{"verbs": ["approve", "sign"], "apiGroups": [GROUP], "resources": ["signers"], "resourceNames": [signer]}]);
        object(json!({"metadata": {"name": name}, "rules": rules}))
    };
    let binding = |name: &str, user: &str| {
        let role = json!({"kind": "ClusterRole", "name": name});
        object(json!({"metadata": {"name": name}, "roleRef": role, "subjects": [{"kind": "User", "name": user}]}))
    };
    let rbac = "rbac.authorization.k8s.io";
    authorization.replace(rbac, "clusterroles", &[role("one", "example.com/one"), role("all", "example.com/*")]);
    authorization.replace(rbac, "clusterrolebindings", &[binding("one", "ann"), binding("all", "bea")]);
    Context { authorization, pod_security: Arc::default() }
}

#[tokio::test]
async fn who_approves_and_signs_may_do_so_for_the_signer() {
    let context = context();
    let with = |signer: &str, status: Value| object(json!({"spec": {"signerName": signer}, "status": status}));
    let denied = json!({"conditions": [{"type": "Denied", "status": "True"}]});
    for (make, part, verb) in [(approval::make as Make, "approval", "approve"), (signing::make, "status", "sign")] {
        let refused = |signer: &str| {
            format!("certificatesigningrequests.certificates.k8s.io \"joe\" is forbidden: user not permitted to {verb} requests with signerName {signer:?}")
        };
        for (user, signer, words) in [
            ("ann", "example.com/one", String::new()),
            ("ann", "example.com/two", refused("example.com/two")),
            ("bea", "example.com/one", String::new()),
            ("bea", "example.com/two", String::new()),
            ("bea", "example.org/two", refused("example.org/two")),
            ("joe", "example.com/one", refused("example.com/one")),
        ] {
            // What the new object says of its signer does not count.
            let (new, old) = (with("example.com/one", denied.clone()), with(signer, json!({})));
            assert_eq!(said(make, &context, user, part, &new, Some(&old)).await, words, "{user} {signer}");
            assert_eq!(said(make, &context, user, "", &new, Some(&old)).await, "", "the object itself is not theirs");
        }
    }
    let old = with("example.com/one", denied.clone());
    assert_eq!(said(signing::make, &context, "joe", "status", &old, Some(&old)).await, "", "nothing is signed");
    let issued = with("example.com/one", json!({"conditions": denied["conditions"], "certificate": "eA=="}));
    assert!(said(signing::make, &context, "joe", "status", &issued, Some(&old)).await.contains("not permitted to sign"));
}

#[tokio::test]
async fn nobody_becomes_a_master() {
    let context = context();
    let asked = |signer: &str, request: &str| object(json!({"metadata": {"name": "joe"}, "spec": {"signerName": signer, "request": request}}));
    let signer = "kubernetes.io/kube-apiserver-client";
    let words = "certificatesigningrequests.certificates.k8s.io \"joe\" is forbidden: use of kubernetes.io/kube-apiserver-client signer with \
                 system:masters group is not allowed";
    assert_eq!(said(subject::make, &context, "joe", "", &asked(signer, REQUEST), None).await, words);
    assert_eq!(said(subject::make, &context, "joe", "", &asked("example.com/one", REQUEST), None).await, "");
    let words = "certificatesigningrequests.certificates.k8s.io \"joe\" is forbidden: failed to parse CSR: PEM block type must be CERTIFICATE REQUEST";
    assert_eq!(said(subject::make, &context, "joe", "", &asked(signer, "eA=="), None).await, words);
}

#[tokio::test]
async fn a_node_asks_for_itself() {
    let context = context();
    let joe = |signer: &str| object(json!({"metadata": {"name": "joe"}, "spec": {"signerName": signer, "request": REQUEST}}));
    let words = |signer: &'static str| {
        let (context, asked) = (context.clone(), joe(signer));
        let node = User::new("system:node:n1", &["system:nodes"]);
        async move { said_to(node_restriction::make, &context, node, "", &asked, None).await }
    };
    let own = "certificatesigningrequests.certificates.k8s.io \"joe\" is forbidden: can only create a node CSR with CN=system:node:n1";
    assert_eq!(words("kubernetes.io/kubelet-serving").await, own);
    assert_eq!(words("kubernetes.io/kube-apiserver-client-kubelet").await, own);
    assert_eq!(words("example.com/one").await, "");
}
