//! From a message's bytes to those of its answer.

use std::future::Future;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures::FutureExt;
use hickory_proto::op::ResponseCode;

use crate::limits::Permits;
use crate::message::{Asked, Question, Read, Said, read};
use crate::packets::Packets;
use crate::step::{Asker, Plan};

/// What a port answers, and may be told anew at any time.
#[derive(Clone)]
pub(crate) struct Slot(Arc<Mutex<Now>>);

/// The plan in force, and what is known to come of it.
#[derive(Clone)]
struct Now {
    plan: Arc<Plan>,
    packets: Arc<Packets>,
}

impl Slot {
    pub(crate) fn new(plan: Arc<Plan>) -> Self {
        Slot(Arc::new(Mutex::new(Now { plan, packets: Arc::default() })))
    }

    pub(crate) fn set(&self, plan: Arc<Plan>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Now { plan, packets: Arc::default() };
    }

    fn now(&self) -> Now {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts the answer to a message over UDP into `answer`, if it was given before and is the same still.
    pub(crate) fn again(&self, message: &[u8], answer: &mut Vec<u8>) -> bool {
        let now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        now.packets.get(now.plan.world.version(), message, answer)
    }
}

/// What is said to a message.
pub(crate) enum Reply {
    /// These bytes.
    Answer(Vec<u8>),
    /// What comes of this, which waits for somebody else; if that is nothing, there is no answer.
    Waiting(Pin<Box<dyn Future<Output = Vec<u8>> + Send>>),
    /// Nothing: it is no question.
    Silence,
}

/// Answers a message as far as that needs nobody else. What makes anything here panic must not end the server.
pub(crate) async fn reply(
    slot: &Slot,
    forwarded: &Arc<Permits>,
    message: &[u8],
    tcp: bool,
    client: IpAddr,
) -> Reply {
    let (asked, question) = match catch_unwind(AssertUnwindSafe(|| read(message, tcp, client))) {
        Ok(Read::Question(asked, question)) => (asked, question),
        Ok(Read::Refused(bytes)) => return Reply::Answer(bytes),
        Ok(Read::Silence) => return Reply::Silence,
        Err(_) => {
            tracing::error!("a question to the cluster DNS made it panic");
            return Reply::Silence;
        }
    };
    let mut answer = Box::pin(answer(slot.now(), forwarded.clone(), asked, question, message.to_vec()));
    match futures::poll!(&mut answer) {
        std::task::Poll::Ready(bytes) if bytes.is_empty() => Reply::Silence,
        std::task::Poll::Ready(bytes) => Reply::Answer(bytes),
        std::task::Poll::Pending => Reply::Waiting(answer),
    }
}

/// The bytes of the answer; none if there is to be none.
async fn answer(now: Now, forwarded: Arc<Permits>, mut asked: Asked, question: Question, message: Vec<u8>) -> Vec<u8> {
    let Now { plan, packets } = now;
    // Before the answer is made: what changes meanwhile makes it an old one.
    let version = plan.world.version();
    if let Some(site) = plan.site(&question.name) {
        site.payload.into_iter().for_each(|payload| asked.at_most(payload));
        site.identifier.iter().for_each(|identifier| asked.identify(identifier));
    }
    let (tcp, start) = (asked.tcp, Instant::now());
    let asker = Asker::new(asked, question.clone(), plan, forwarded);
    let outcome = AssertUnwindSafe(asker.answer(question)).catch_unwind().await;
    let said = match outcome {
        Ok(Ok(said)) => said,
        Ok(Err(failure)) => Said::code(failure.code),
        Err(_) => {
            tracing::error!("a question to the cluster DNS made it panic");
            Said::code(ResponseCode::ServFail)
        }
    };
    if asker.dropped() {
        return Vec::new();
    }
    let (code, counts) = (said.code, asker.counts());
    let bytes = asker.asked.encode(said);
    if asker.constant() && !tcp {
        let counts = counts.clone().map(|series| (series, code));
        packets.put(version, &message, &bytes, counts, asker.until());
    }
    if let Some(series) = counts {
        series.count(code, tcp, start.elapsed());
    }
    bytes
}
