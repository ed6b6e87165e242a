//! What a webhook answered, and what upstream calls it (`client-go/rest`, `api/errors.NewGenericServerResponse`).

use bytes::{Bytes, BytesMut};
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::limits;

/// Why there is no good answer.
pub enum Refusal {
    /// It was not reached, or did not answer to the end.
    Unreached(String),
    /// It was, and refused.
    Answered(String),
}

impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Refusal::Unreached(why)
    }
}

impl From<&str> for Refusal {
    fn from(why: &str) -> Self {
        Refusal::Unreached(why.to_owned())
    }
}

/// The body, to its end.
pub async fn read(answer: &mut Response<Incoming>) -> Result<Bytes, String> {
    let mut all = BytesMut::new();
    while let Some(frame) = answer.body_mut().frame().await {
        let frame = frame.map_err(|e| e.to_string())?;
        all.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
        if all.len() > limits::WEBHOOK_ANSWER {
            return Err(format!("the answer is longer than {} bytes", limits::WEBHOOK_ANSWER));
        }
    }
    Ok(all.freeze())
}

/// The body of a good answer.
pub fn judge(status: StatusCode, body: Bytes) -> Result<Bytes, Refusal> {
    if (200..=206).contains(&status.as_u16()) {
        return Ok(body);
    }
    let text = String::from_utf8_lossy(&body);
    let said: String = text.trim().chars().take(limits::WEBHOOK_REFUSAL).collect();
    // A refusal may be a Status of its own.
    let own = serde_json::from_slice::<serde_json::Value>(&body).ok().filter(|own| own["kind"] == "Status");
    if let Some(message) = own.as_ref().and_then(|own| own["message"].as_str()).filter(|message| !message.is_empty()) {
        return Err(Refusal::Answered(message.to_owned()));
    }
    Err(Refusal::Answered(match status.as_u16() {
        400 => "the server rejected our request for an unknown reason".to_owned(),
        401 => "the server has asked for the client to provide credentials".to_owned(),
        403 if said.is_empty() => "the server does not allow access to the requested resource".to_owned(),
        403 | 406 | 415 => said,
        404 => "the server could not find the requested resource".to_owned(),
        405 => "the server does not allow this method on the requested resource".to_owned(),
        409 => "the server reported a conflict".to_owned(),
        422 => "the server rejected our request due to an error in our request".to_owned(),
        429 => "the server has received too many requests and has asked us to try again later".to_owned(),
        503 => "the server is currently unable to handle the request".to_owned(),
        504 => "the server was unable to return a response in the time allotted, but may still be processing the request".to_owned(),
        500.. => format!("an error on the server ({said:?}) has prevented the request from succeeding"),
        code => format!("the server responded with the status code {code} but did not return more information"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_in_upstreams_words() {
        let said = |code: u16, body: &'static str| {
            let status = StatusCode::from_u16(code).expect("a status");
            match judge(status, Bytes::from_static(body.as_bytes())) {
                Ok(body) => format!("good: {}", body.len()),
                Err(Refusal::Answered(why)) => why,
                Err(Refusal::Unreached(why)) => panic!("it was reached: {why}"),
            }
        };
        assert_eq!(said(200, "{}"), "good: 2");
        assert_eq!(said(500, "oh \"no\"\n"), r#"an error on the server ("oh \"no\"") has prevented the request from succeeding"#);
        assert_eq!(said(404, ""), "the server could not find the requested resource");
        assert_eq!(said(302, ""), "the server responded with the status code 302 but did not return more information");
        assert_eq!(said(500, r#"{"kind":"Status","message":"why"}"#), "why");
    }
}
