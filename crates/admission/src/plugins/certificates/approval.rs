//! Who approves or denies a request may do so for its signer.

use std::sync::Arc;

use async_trait::async_trait;
use auth::Authorization;
use meta::Status;

use super::super::Context;
use super::{is_about, may};
use crate::{Lookup, Operation, Plugin, Request, forbidden};

struct CertificateApproval {
    authorization: Arc<Authorization>,
}

/// Makes the plug-in.
pub fn make(context: &Context) -> Arc<dyn Plugin> {
    Arc::new(CertificateApproval { authorization: context.authorization.clone() })
}

#[async_trait]
impl Plugin for CertificateApproval {
    fn name(&self) -> &'static str {
        "CertificateApproval"
    }

    async fn validate(&self, request: &Request<'_>, _lookup: &dyn Lookup) -> Result<(), Status> {
        // The signer that it has: nobody changes it on the way.
        let Some(old) = request.old.filter(|_| is_about(request, Operation::Update, "approval")) else { return Ok(()) };
        let signer = old.str_at("spec.signerName");
        match may(&self.authorization, request.attributes, "approve", signer) {
            true => Ok(()),
            false => Err(forbidden(request, format!("user not permitted to approve requests with signerName {signer:?}"))),
        }
    }
}
