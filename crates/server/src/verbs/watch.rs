//! GET of a collection with `watch=true`.

use http::{Response, StatusCode};
use http_body_util::BodyExt;
use hyper::upgrade::OnUpgrade;
use meta::{Reason, Status, limits};
use rand::Rng;
use transport::Body;

use super::Work;
use crate::connect::socket;
use crate::negotiate::{self, Format, Shape};
use crate::flow::outlet::Streamed;
use crate::shape::{Include, Tables};
use crate::watch::{Form, Frames, WatchBody};
use crate::{answer, options};

/// A watch without `timeoutSeconds` lasts between this and twice this, at random, so that clients do
/// not all come back at once (upstream's `--min-request-timeout`).
const SHORTEST: u64 = 1800;

/// The media type of a watch in protobuf.
const PROTOBUF_STREAM: &str = "application/vnd.kubernetes.protobuf;stream=watch";

/// Answers with frames, or the messages of a WebSocket, until the watch ends.
pub async fn run(mut work: Work<'_>) -> Result<Response<Body>, Status> {
    let output = negotiate::output(work.headers(), true)?;
    if output.format == Format::Yaml {
        let types = ["application/json;stream=watch", PROTOBUF_STREAM].join(", ");
        let why = format!("only the following media types are accepted: {types}");
        return Err(Status::new(Reason::NotAcceptable, why));
    }
    let scope = options::scope(work.ask.route)?;
    let (mut options, seconds) = options::watch(&work.ask.route.query)?;
    let seconds = seconds.unwrap_or_else(|| rand::rng().random_range(SHORTEST..2 * SHORTEST));
    options.timeout = Some(limits::seconds(seconds.cast_signed()));
    let form = match output.shape {
        Shape::Whole => Form::Whole,
        Shape::Partial(version) => Form::Partial(version),
        Shape::Table(version) => {
            let include = Include::from_query(&work.ask.route.query)?;
            Form::Table(Tables::new(&work.kind, "", version, include))
        }
    };
    let events = work.ask.state.registry.watch(work.attributes(), scope, options).await?;
    let frames = Frames::new(&work.kind, form, output.format);
    let body = WatchBody::new(events, frames, work.ask.state.stopping.clone());
    if socket::wanted(work.headers()) {
        let client = work.ask.head.extensions.remove::<OnUpgrade>();
        return socket::watch(work.headers(), client, body.boxed(), output.format);
    }
    let media = if output.format == Format::Protobuf { PROTOBUF_STREAM } else { Format::Json.media_type() };
    let mut response = answer::bytes(StatusCode::OK, media, "");
    *response.body_mut() = body.boxed();
    response.extensions_mut().insert(Streamed);
    Ok(response)
}
