//! Who puts a certificate or conditions into the status of a request may sign for its signer.

use std::sync::Arc;

use async_trait::async_trait;
use auth::Authorization;
use meta::Status;

use super::super::Context;
use super::{is_about, may};
use crate::{Lookup, Operation, Plugin, Request, forbidden};

struct CertificateSigning {
    authorization: Arc<Authorization>,
}

/// Makes the plug-in.
pub fn make(context: &Context) -> Arc<dyn Plugin> {
    Arc::new(CertificateSigning { authorization: context.authorization.clone() })
}

#[async_trait]
impl Plugin for CertificateSigning {
    fn name(&self) -> &'static str {
        "CertificateSigning"
    }

    async fn validate(&self, request: &Request<'_>, _lookup: &dyn Lookup) -> Result<(), Status> {
        let is_it = is_about(request, Operation::Update, "status");
        let Some((old, new)) = request.old.zip(request.object.as_deref()).filter(|_| is_it) else { return Ok(()) };
        let same_certificate = old.str_at("status.certificate") == new.str_at("status.certificate");
        if same_certificate && old.list_at("status.conditions") == new.list_at("status.conditions") {
            return Ok(());
        }
        let signer = old.str_at("spec.signerName");
        match may(&self.authorization, request.attributes, "sign", signer) {
            true => Ok(()),
            false => Err(forbidden(request, format!("user not permitted to sign requests with signerName {signer:?}"))),
        }
    }
}
