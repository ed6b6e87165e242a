//! Which admission plug-ins run (upstream: `--enable-admission-plugins`, `--disable-admission-plugins`,
//! `kubeapiserver/options/plugins.go`).

use std::sync::Arc;

use admission::Plugin;
use anyhow::{Result, bail, ensure};

/// Upstream's plug-ins, and whether they run unless something else is said.
const UPSTREAM: &[(&str, bool)] = &[
    ("AlwaysAdmit", false),
    ("NamespaceAutoProvision", false),
    ("NamespaceLifecycle", true),
    ("NamespaceExists", false),
    ("LimitPodHardAntiAffinityTopology", false),
    ("LimitRanger", true),
    ("ServiceAccount", true),
    ("NodeRestriction", false),
    ("TaintNodesByCondition", true),
    ("AlwaysPullImages", false),
    ("ImagePolicyWebhook", false),
    ("PodSecurity", true),
    ("PodNodeSelector", false),
    ("Priority", true),
    ("DefaultTolerationSeconds", true),
    ("PodTolerationRestriction", false),
    ("EventRateLimit", false),
    ("ExtendedResourceToleration", false),
    ("DefaultStorageClass", true),
    ("StorageObjectInUseProtection", true),
    ("PodGroupProtection", true),
    ("OwnerReferencesPermissionEnforcement", false),
    ("PersistentVolumeClaimResize", true),
    ("RuntimeClass", true),
    ("CertificateApproval", true),
    ("CertificateSigning", true),
    ("ClusterTrustBundleAttest", true),
    ("CertificateSubjectRestriction", true),
    ("DefaultIngressClass", true),
    ("DenyServiceExternalIPs", false),
    ("PodTopologyLabels", true),
    ("PodGroupWorkloadExists", true),
    ("NodeDeclaredFeatureValidator", true),
    ("JobValidation", true),
    ("PodResizeValidator", true),
    ("MutatingAdmissionPolicy", true),
    ("MutatingAdmissionWebhook", true),
    ("ValidatingAdmissionPolicy", true),
    ("ValidatingAdmissionWebhook", true),
    ("ResourceQuota", true),
    ("AlwaysDeny", false),
];

/// Those that are off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    off: Vec<String>,
}

impl Selection {
    /// Upstream's default, with these enabled and those disabled. `ours` are the names of the plug-ins that there are.
    /// One that is not among them can be disabled, and not enabled.
    pub fn read(enable: &[String], disable: &[String], ours: &[&str]) -> Result<Selection> {
        for (flag, names) in [("enable", enable), ("disable", disable)] {
            if let Some(name) = names.iter().find(|name| UPSTREAM.iter().all(|(known, _)| known != name)) {
                bail!("{flag}-admission-plugins plugin {name:?} is unknown");
            }
        }
        let both: Vec<&str> = enable.iter().filter(|name| disable.contains(name)).map(String::as_str).collect();
        ensure!(both.is_empty(), "[{}] in enable-admission-plugins and disable-admission-plugins overlapped", both.join(" "));
        if let Some(name) = enable.iter().find(|name| !ours.contains(&name.as_str())) {
            bail!("enable-admission-plugins: {name} is upstream's and not part of this program; it has {}", ours.join(", "));
        }
        let is_on = |name: &str, by_default: bool| {
            (by_default || enable.iter().any(|on| on == name)) && !disable.iter().any(|off| off == name)
        };
        let off = UPSTREAM.iter().filter(|(name, by_default)| !is_on(name, *by_default));
        Ok(Selection { off: off.map(|(name, _)| (*name).to_owned()).collect() })
    }

    /// The names of plug-ins that can be switched: what else runs belongs to the API itself.
    pub fn names() -> Vec<&'static str> {
        let context = admission::plugins::Context { authorization: Arc::default(), pod_security: Arc::default() };
        let ours = admission::plugins::all(&context);
        ours.iter().map(|plugin| plugin.name()).filter(|name| UPSTREAM.iter().any(|(known, _)| known == name)).collect()
    }

    /// Those out of all that run.
    pub fn of(&self, mut all: Vec<Arc<dyn Plugin>>) -> Vec<Arc<dyn Plugin>> {
        all.retain(|plugin| !self.off.iter().any(|off| off == plugin.name()));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(enable: &[&str], disable: &[&str]) -> Result<Vec<&'static str>, String> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let selection = Selection::read(&owned(enable), &owned(disable), &Selection::names());
        let context = admission::plugins::Context { authorization: Arc::default(), pod_security: Arc::default() };
        let selection = selection.map_err(|e| e.to_string())?;
        Ok(selection.of(admission::plugins::all(&context)).iter().map(|plugin| plugin.name()).collect())
    }

    #[test]
    fn upstreams_defaults_and_what_is_said() {
        let default = read(&[], &[]).expect("reads");
        assert!(default.contains(&"ServiceAccount") && !default.contains(&"NodeRestriction"));
        assert!(default.contains(&"RBACEscalation"), "what belongs to the API itself runs");
        // What envtest says.
        assert!(!read(&[], &["ServiceAccount"]).expect("reads").contains(&"ServiceAccount"));
        assert!(read(&["NodeRestriction"], &["LimitRanger"]).expect("reads").contains(&"NodeRestriction"));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let unknown = "disable-admission-plugins plugin \"Nothing\" is unknown";
        assert_eq!(read(&[], &["Nothing"]).expect_err("refused"), unknown);
        let overlap = "[Priority] in enable-admission-plugins and disable-admission-plugins overlapped";
        assert_eq!(read(&["Priority"], &["Priority"]).expect_err("refused"), overlap);
        assert!(read(&["AlwaysPullImages"], &[]).expect_err("refused").contains("AlwaysPullImages is upstream's"));
    }

    #[test]
    fn every_plug_in_that_upstream_has_is_under_its_name() {
        let own = ["RBACEscalation"];
        let context = admission::plugins::Context { authorization: Arc::default(), pod_security: Arc::default() };
        for plugin in admission::plugins::all(&context) {
            assert!(own.contains(&plugin.name()) || Selection::names().contains(&plugin.name()), "{}", plugin.name());
        }
    }
}
