//! Nobody becomes a member of `system:masters` by a certificate that clients of the API server show.

use std::sync::Arc;

use async_trait::async_trait;
use auth::identity;
use kinds::kinds::certificatesigningrequest::subject;
use meta::Status;

use super::super::Context;
use super::is_about;
use crate::{Lookup, Operation, Plugin, Request, forbidden};

/// Who signs certificates for clients of the API server.
const SIGNER: &str = "kubernetes.io/kube-apiserver-client";

struct CertificateSubjectRestriction;

/// Makes the plug-in.
pub fn make(_context: &Context) -> Arc<dyn Plugin> {
    Arc::new(CertificateSubjectRestriction)
}

#[async_trait]
impl Plugin for CertificateSubjectRestriction {
    fn name(&self) -> &'static str {
        "CertificateSubjectRestriction"
    }

    async fn validate(&self, request: &Request<'_>, _lookup: &dyn Lookup) -> Result<(), Status> {
        let is_it = is_about(request, Operation::Create, "");
        let Some(object) = request.object.as_deref().filter(|_| is_it) else { return Ok(()) };
        if object.str_at("spec.signerName") != SIGNER {
            return Ok(());
        }
        let subject = subject(object).map_err(|why| forbidden(request, format!("failed to parse CSR: {why}")))?;
        if subject.organizations.iter().any(|name| name == identity::MASTERS) {
            let why = format!("use of {SIGNER} signer with {} group is not allowed", identity::MASTERS);
            return Err(forbidden(request, why));
        }
        Ok(())
    }
}
