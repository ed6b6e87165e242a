//! The tasks of the system: each has a name, and none ends unseen.
//!
//! Place in the straight line: beside it. Whatever runs for as long as the program does is started here.
//!
//! Invariants:
//! - a task that ends or panics before the stop is started again where that is safe ([`Tasks::keep`]), or ends the
//!   process ([`Tasks::vital`]), which its supervisor starts again;
//! - what is down, or not up yet, is told by [`Tasks::check`].
//!
//! Must not know: what any task does.

use std::any::Any;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Before a task is started again: the first time, and at the most.
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A task that has run for so long has not failed at its start.
const STEADY: Duration = Duration::from_secs(60);
/// `EX_SOFTWARE` of `sysexits.h`.
const EXIT: i32 = 70;

/// Told why the process has to end. It should not return.
pub type Fatal = Arc<dyn Fn(&str) + Send + Sync>;
/// Tells what is not well yet, if something is. Quick, no I/O.
pub type Probe = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// The tasks of the process, or of a part of it that is started again as a whole. Clones are handles to the same.
#[derive(Clone)]
pub struct Tasks {
    shared: Arc<Shared>,
    stop: CancellationToken,
}

impl From<CancellationToken> for Tasks {
    fn from(stop: CancellationToken) -> Self {
        Tasks::new(stop)
    }
}

struct Shared {
    tracker: TaskTracker,
    fatal: Fatal,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Why a task is not running at present, by its name.
    down: BTreeMap<Arc<str>, String>,
    /// What must be well besides, with the scope that it belongs to.
    probes: Vec<(CancellationToken, Probe)>,
}

impl Tasks {
    /// None yet; all will end with `stop`. Where a vital one ends before, so does the process.
    pub fn new(stop: CancellationToken) -> Self {
        Self::with(stop, Arc::new(end_process))
    }

    /// The same with another end than the process's, for tests.
    pub fn with(stop: CancellationToken, fatal: Fatal) -> Self {
        Tasks { shared: Arc::new(Shared { tracker: TaskTracker::new(), fatal, state: Mutex::default() }), stop }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What ends them.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// A task that nothing can go on without.
    pub fn vital(&self, name: impl Into<Arc<str>>, work: impl Future<Output = ()> + Send + 'static) {
        let (name, tasks) = (name.into(), self.clone());
        self.shared.tracker.spawn(async move {
            if let Some(end) = tasks.end_of(work).await {
                (tasks.shared.fatal)(&format!("{name} {end}"));
            }
        });
    }

    /// A task that is made anew, after a pause that grows, whenever it ends or panics. What it starts itself belongs
    /// to the scope that it is given, and ends when the task is made anew.
    pub fn keep<W>(&self, name: impl Into<Arc<str>>, mut make: impl FnMut(Tasks) -> W + Send + 'static)
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let (name, tasks) = (name.into(), self.clone());
        self.shared.tracker.spawn(async move {
            let mut pause = PAUSE;
            loop {
                let started = Instant::now();
                let scope = Tasks { shared: tasks.shared.clone(), stop: tasks.stop.child_token() };
                let made = std::panic::catch_unwind(AssertUnwindSafe(|| make(scope.clone())));
                let end = match made {
                    Ok(work) => tasks.end_of(work).await,
                    Err(panic) => Some(format!("panicked: {}", text(&*panic))),
                };
                scope.stop.cancel();
                let Some(end) = end else { return };
                pause = if started.elapsed() > STEADY { PAUSE } else { pause };
                tracing::error!(task = %name, error = end, pause_ms = pause.as_millis() as u64, "a task is started again");
                tasks.state().down.insert(name.clone(), end);
                let waited = tasks.stop.run_until_cancelled(tokio::time::sleep(pause)).await;
                tasks.state().down.remove(&name);
                if waited.is_none() {
                    return;
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        });
    }

    /// A task that may end by itself. A panic in it is logged, and no more.
    pub fn aside(&self, name: impl Into<Arc<str>>, work: impl Future<Output = ()> + Send + 'static) {
        let (name, tasks) = (name.into(), self.clone());
        self.shared.tracker.spawn(async move {
            let work = AssertUnwindSafe(work).catch_unwind();
            if let Some(Err(panic)) = tasks.stop.run_until_cancelled(work).await {
                tracing::error!(task = %name, error = text(&*panic), "a task panicked");
            }
        });
    }

    /// How work ended; `None` after the stop.
    async fn end_of(&self, work: impl Future<Output = ()>) -> Option<String> {
        let end = self.stop.run_until_cancelled(AssertUnwindSafe(work).catch_unwind()).await;
        match end {
            // Some tasks heed the stop themselves.
            _ if self.stop.is_cancelled() => None,
            None => None,
            Some(Ok(())) => Some("has ended".to_owned()),
            Some(Err(panic)) => Some(format!("panicked: {}", text(&*panic))),
        }
    }

    /// Adds to what must be well, for as long as this scope lasts.
    pub fn probe(&self, probe: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        self.state().probes.push((self.stop.clone(), Box::new(probe)));
    }

    /// Whether all tasks run.
    pub fn check(&self) -> Result<(), String> {
        match self.state().down.iter().next() {
            None => Ok(()),
            Some((name, why)) => Err(format!("{name} {why}")),
        }
    }

    /// Whether all that was added with [`Tasks::probe`] is well.
    pub fn check_probes(&self) -> Result<(), String> {
        let mut state = self.state();
        state.probes.retain(|(scope, _)| !scope.is_cancelled());
        state.probes.iter().try_for_each(|(_, probe)| probe())
    }

    /// Waits until all have ended, after the stop.
    pub async fn ended(&self) {
        self.shared.tracker.close();
        self.shared.tracker.wait().await;
    }
}

/// What a panic says.
pub fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown")
}

/// Ends the process at once, with one line.
fn end_process(why: &str) {
    tracing::error!(error = why, "the process ends");
    // Standard error may be gone.
    let _ = writeln!(std::io::stderr(), "error: {why}: the process ends, since nothing works without it");
    std::process::exit(EXIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::mpsc;

    fn tasks() -> (Tasks, mpsc::UnboundedReceiver<String>) {
        let (told, fatal) = mpsc::unbounded_channel();
        let fatal_told = move |why: &str| drop(told.send(why.to_owned()));
        (Tasks::with(CancellationToken::new(), Arc::new(fatal_told)), fatal)
    }

    #[tokio::test]
    async fn a_vital_task_that_ends_or_panics_ends_the_process_and_one_that_is_stopped_does_not() {
        let (tasks, mut fatal) = tasks();
        tasks.vital("listener", async {});
        assert_eq!(fatal.recv().await.as_deref(), Some("listener has ended"));
        tasks.vital("writer", async { panic!("no {}", "way") });
        assert_eq!(fatal.recv().await.as_deref(), Some("writer panicked: no way"));
        tasks.vital("waits", std::future::pending());
        let stop = tasks.stop().clone();
        tasks.vital("heeds the stop itself", async move { stop.cancelled().await });
        tasks.stop().cancel();
        tasks.ended().await;
        assert!(fatal.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_kept_task_is_made_anew_and_what_it_started_ends_with_it() {
        let (tasks, _fatal) = tasks();
        let (starts, (told, mut scopes)) = (Arc::new(AtomicUsize::new(0)), mpsc::unbounded_channel());
        let counted = starts.clone();
        tasks.keep("dns", move |scope| {
            let n = counted.fetch_add(1, Ordering::Relaxed);
            assert!(n != 1, "panics while it is made");
            scope.probe(|| Err("not yet".to_owned()));
            told.send(scope).expect("listens");
            async move {
                match n {
                    0 => {}
                    2 => panic!("as it runs"),
                    _ => std::future::pending().await,
                }
            }
        });
        let first = scopes.recv().await.expect("started");
        first.stop().cancelled().await;
        while tasks.check() != Err("dns has ended".to_owned()) {
            tokio::task::yield_now().await;
        }
        assert_eq!(tasks.check_probes(), Ok(()), "the probe went with its scope");
        // The second start panics while it is made, the third as it runs.
        let (_, third) = (scopes.recv().await, scopes.recv().await);
        assert_eq!((starts.load(Ordering::Relaxed), tasks.check()), (4, Ok(())));
        assert_eq!(tasks.check_probes(), Err("not yet".to_owned()));
        tasks.stop().cancel();
        tasks.ended().await;
        assert!(third.is_some_and(|scope| scope.stop().is_cancelled()));
    }
}
