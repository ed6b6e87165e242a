//! Asks the API who a caller is and what they may do (for [`auth::delegated`]).

use async_trait::async_trait;
use auth::delegated::Reviews;
use http::{Request, header};
use meta::{Object, Status};

/// Creates reviews by a client with the node's identity.
pub struct Asking(pub kube::Client);

#[async_trait]
impl Reviews for Asking {
    async fn create(&self, group: &str, resource: &str, review: Object) -> Result<Object, Status> {
        let body = serde_json::to_vec(&review.into_value()).map_err(Status::internal)?;
        let request = Request::post(format!("/apis/{group}/v1/{resource}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)
            .map_err(Status::internal)?;
        let answer: serde_json::Value = self.0.request(request).await.map_err(Status::internal)?;
        Object::from_value(answer).map_err(|_| Status::internal("the review's answer is no object"))
    }
}
