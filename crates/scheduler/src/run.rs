//! The actor: changes in, decisions out.
//!
//! Decisions are made on a thread of their own, which alone knows the state: however long one takes, it keeps nobody
//! from being served, and no lock is held meanwhile.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread;
use std::time::Instant;

use client::{Change, Hub};
use k8s_openapi::api::core::v1::{Node, Pod};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::attempt::{Attempt, End};
use crate::state::State;
use crate::write::Writer;

/// The scheduler's name in `spec.schedulerName`.
pub const NAME: &str = "default-scheduler";

/// Bindings and status writes under way at once; further decisions wait.
const WRITES: usize = 64;

/// What the thread is told.
enum News {
    Node(Change<Node>),
    Pod(Change<Pod>),
    /// The writes of an attempt have ended.
    Ended(Arc<Attempt>, End),
    /// There is nothing more to do.
    Stop,
}

/// Schedules pods until `stop`. `host` names the machine, for events. Panics if the thread that decides did.
pub async fn run(hub: Hub, host: String, stop: CancellationToken) {
    let (news, inbox) = channel();
    let (pods, nodes) = (hub.informer::<Pod>(), hub.informer::<Node>());
    // A thread that is gone needs no news.
    let (to_nodes, to_pods) = (news.clone(), news.clone());
    nodes.on_change(move |change| drop(to_nodes.send(News::Node(change.clone()))));
    pods.on_change(move |change| drop(to_pods.send(News::Pod(change.clone()))));
    // A decision on half of the pods would overcommit nodes.
    let synced = async { tokio::join!(nodes.synced(), pods.synced()) };
    if stop.run_until_cancelled(synced).await.is_none() {
        return;
    }
    let writer = Arc::new(Writer::new(hub.client(), &host));
    let desk = Desk { state: State::default(), under_way: 0, writer, news: news.clone(), runtime: Handle::current() };
    let (over, ended) = tokio::sync::oneshot::channel::<()>();
    let started = thread::Builder::new().name("scheduler".to_owned()).spawn(move || {
        // Dropped at the end, also at one by panic.
        let _over = over;
        desk.work(&inbox);
    });
    let thread = match started {
        Ok(thread) => thread,
        Err(error) => return tracing::error!(%error, "no thread for the scheduler"),
    };
    tokio::pin!(ended);
    if stop.run_until_cancelled(&mut ended).await.is_none() {
        drop(news.send(News::Stop));
        // The error is the end that is awaited.
        drop(ended.await);
    }
    if let Err(panic) = thread.join() {
        resume_unwind(panic);
    }
}

/// Where decisions are made.
struct Desk {
    state: State,
    /// Attempts whose writes have not ended.
    under_way: usize,
    writer: Arc<Writer>,
    news: Sender<News>,
    runtime: Handle,
}

/// An attempt that is being carried out. Whatever becomes of that, the desk hears how it ended.
struct UnderWay {
    attempt: Arc<Attempt>,
    end: End,
    news: Sender<News>,
}

impl UnderWay {
    async fn go(mut self, writer: Arc<Writer>) {
        self.end = writer.carry_out(&self.attempt).await;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let end = std::mem::replace(&mut self.end, End::Failed);
        drop(self.news.send(News::Ended(self.attempt.clone(), end)));
    }
}

impl Desk {
    fn work(mut self, inbox: &Receiver<News>) {
        loop {
            // All that is known counts before anything is decided.
            match inbox.try_recv() {
                Ok(News::Stop) | Err(TryRecvError::Disconnected) => return,
                Ok(news) => {
                    self.take_in(news);
                    continue;
                }
                Err(TryRecvError::Empty) => {}
            }
            // A decision is made when it can be carried out.
            let (attempt, next) = if self.under_way < WRITES { self.state.next(Instant::now()) } else { (None, None) };
            if let Some(attempt) = attempt {
                self.carry_out(attempt);
                continue;
            }
            let news = match next {
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(next) => inbox.recv_timeout(next.saturating_duration_since(Instant::now())),
            };
            match news {
                Ok(News::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(news) => self.take_in(news),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn take_in(&mut self, news: News) {
        let now = Instant::now();
        match news {
            News::Node(change) => self.state.node_changed(&change, now),
            News::Pod(change) => self.state.pod_changed(&change, now),
            News::Ended(attempt, end) => {
                self.under_way -= 1;
                self.state.ended(&attempt, end, now);
            }
            News::Stop => {}
        }
    }

    fn carry_out(&mut self, attempt: Attempt) {
        self.under_way += 1;
        let attempt = Arc::new(attempt);
        let under_way = UnderWay { attempt, end: End::Failed, news: self.news.clone() };
        self.runtime.spawn(under_way.go(self.writer.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cycle::Decision;
    use crate::samples::ranked;
    use crate::attempt::Nomination;

    #[test]
    fn the_desk_hears_of_an_attempt_whose_task_ends_before_it_is_written() {
        let (news, inbox) = channel();
        let pod = ranked("p", "1", 0, 0);
        let attempt = Arc::new(Attempt {
            key: pod.key(),
            pod,
            at: Instant::now(),
            decision: Decision::Node("n".into()),
            nomination: Nomination::AsItIs,
            displaced: Vec::new(),
        });
        drop(UnderWay { attempt, end: End::Failed, news });
        assert!(matches!(inbox.try_recv(), Ok(News::Ended(_, End::Failed))));
    }
}
