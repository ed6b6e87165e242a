//! `loop`: a question of our own that comes back shows that the name servers we ask ask us. From then on this server block
//! asks nobody. (CoreDNS ends itself, and is started anew.)

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use futures::future::BoxFuture;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use rand::Rng;

use super::{Building, once};
use crate::corefile::{Directive, Fault, values};
use crate::message::Question;
use crate::step::{Asker, Failure, Outcome, Probe, Rest, Step};

/// How often our own question may come: once from us, and once again.
const SEEN: u8 = 2;

struct Loop(Arc<Watch>);

struct Watch {
    name: String,
    seen: AtomicU8,
    found: AtomicBool,
}

pub(super) fn build(building: &mut Building<'_>, directives: &[Directive]) -> Result<(), Fault> {
    let directive = once(directives)?;
    values::none(&directive.name, &directive.args)?;
    let zone = building.zones.first().map_or(".", String::as_str);
    let mut random = rand::rng();
    let mut label = || random.random_range(0..1u64 << 62);
    let name = format!("{}.{}.{}", label(), label(), zone.strip_prefix('.').unwrap_or(zone));
    let watch = Arc::new(Watch { name: name.clone(), seen: AtomicU8::new(0), found: AtomicBool::new(false) });
    building.site.probes.push(Probe { name, kind: RecordType::HINFO });
    building.push(Loop(watch));
    Ok(())
}

impl Step for Loop {
    fn answer<'a>(&'a self, asker: &'a Asker, question: Question, rest: Rest<'a>) -> BoxFuture<'a, Outcome> {
        let watch = &self.0;
        if question.kind == RecordType::HINFO && question.name == watch.name {
            let seen = watch.seen.fetch_add(1, Ordering::Relaxed).saturating_add(1);
            if seen > SEEN && !watch.found.swap(true, Ordering::Relaxed) {
                tracing::error!(name = %watch.name, "the name servers that the cluster DNS asks ask it themselves");
            }
        }
        if watch.found.load(Ordering::Relaxed) {
            let why = "the name servers to ask ask us themselves (loop)";
            return Box::pin(async move { Err(Failure::new(ResponseCode::ServFail, why)) });
        }
        rest.answer(asker, question)
    }
}

#[cfg(test)]
mod tests {
    use crate::corefile::Files;
    use crate::kit::{self, Cluster, Upstream, question};
    use crate::limits::Permits;
    use crate::plan::compile;
    use crate::respond::Slot;
    use hickory_proto::op::ResponseCode;

    #[tokio::test]
    async fn a_question_of_our_own_that_comes_back_ends_the_asking() {
        let upstream = Upstream::new().await;
        let corefile = format!(". {{\n cache 30\n loop\n forward . {}\n}}\n", upstream.address);
        let mut compiled = compile(&corefile, &Files::new(), &kit::environment()).expect("a Corefile");
        let (address, probe) = compiled.probes.pop().expect("a probe");
        let slot = Slot::new(compiled.sockets.remove(&address).expect("a plan"));
        let cluster = Cluster { slot, permits: Permits::new(9, 9) };
        let asked = async |name: &str, kind: &str| {
            let serve = async {
                let (question, from) = upstream.next().await;
                upstream.say(&question, from, |message| message.metadata.response_code = ResponseCode::Refused).await;
                "asked"
            };
            let message = question(name, kind);
            let ask = cluster.message(&message);
            tokio::pin!(serve, ask);
            tokio::select! {
                said = &mut ask => kit::lines(&said),
                _ = &mut serve => kit::lines(&ask.await),
            }
        };
        // Ours, and that of somebody who has it from us; other names do not count.
        assert_eq!(asked(&probe.name, "HINFO").await, "REFUSED");
        assert_eq!(asked("1.2.", "HINFO").await, "REFUSED");
        assert_eq!(asked(&probe.name, "A").await, "REFUSED");
        assert_eq!(asked(&probe.name, "HINFO").await, "REFUSED");
        assert_eq!(asked("a.example.", "A").await, "REFUSED");
        assert_eq!(asked(&probe.name, "HINFO").await, "SERVFAIL", "it goes round");
        assert_eq!(asked("b.example.", "A").await, "SERVFAIL", "nobody is asked any more");
    }
}
