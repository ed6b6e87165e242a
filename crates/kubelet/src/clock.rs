//! Time that does not jump. The machine's clock is set, back and forth; who waits, or counts since when, goes by this
//! one, which begins with the machine's time and then only passes.
//!
//! Times that others give (the end of a container, the start of a pod) are the machine's: they are brought over once,
//! when they are seen first, and hold from then on, whatever is set afterwards.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::{Arc, LazyLock};

use jiff::{SignedDuration, Timestamp};
use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::clock_gettime;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::agent::Agent;

/// What the machine's clock and the one that only passes said at the same moment.
static START: LazyLock<(Timestamp, SignedDuration)> = LazyLock::new(|| (Timestamp::now(), passed()));

/// Since the machine was started, sleep included.
fn passed() -> SignedDuration {
    let time = clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).unwrap_or(TimeSpec::new(0, 0));
    SignedDuration::new(time.tv_sec(), i32::try_from(time.tv_nsec()).unwrap_or(0))
}

/// Now.
pub fn now() -> Timestamp {
    let (start, then) = *START;
    start.checked_add(passed() - then).unwrap_or(start)
}

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// On this one.
    pub steady: Timestamp,
    /// On the machine's, as it is set.
    pub machine: Timestamp,
}

impl Moment {
    /// The present one.
    pub fn now() -> Self {
        Moment { steady: now(), machine: Timestamp::now() }
    }

    /// A time of the machine's, as the machine's clock is set now.
    pub fn bring(self, machine: Timestamp) -> Timestamp {
        self.steady.checked_add(machine.duration_since(self.machine)).unwrap_or(machine)
    }

    /// One that is over: it is not later than now, even if the clock was set back since.
    pub fn bring_past(self, machine: Timestamp) -> Timestamp {
        self.bring(machine).min(self.steady)
    }
}

/// When the machine's clock is set, what has a time of it is looked at again: tokens may be over, or not yet good.
pub async fn heed(agent: Arc<Agent>) {
    let jumps = match Jumps::watch() {
        Ok(jumps) => jumps,
        Err(error) => {
            tracing::warn!(%error, "nobody tells when the clock is set");
            return std::future::pending().await;
        }
    };
    while jumps.next().await.is_ok() {
        tracing::info!("the machine's clock was set");
        agent.pods.stale();
        agent.news.notify_one();
    }
}

/// Tells when the machine's clock is set; the kernel knows (timerfd_create(2), `TFD_TIMER_CANCEL_ON_SET`).
pub struct Jumps(AsyncFd<Timer>);

struct Timer(TimerFd);

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Timer {
    /// In a time that never comes: what is wanted is that it is called off.
    fn arm(&self) -> io::Result<()> {
        let flags = TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
        Ok(self.0.set(Expiration::OneShot(TimeSpec::new(i64::from(u32::MAX), 0)), flags)?)
    }
}

impl Jumps {
    /// From now on.
    pub fn watch() -> io::Result<Self> {
        let timer = Timer(TimerFd::new(ClockId::CLOCK_REALTIME, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?);
        timer.arm()?;
        // SAFETY: the descriptor belongs to the value that is registered with it, and never changes.
        let timer = unsafe { AsyncFd::register_with_interest(timer, Interest::READABLE) };
        Ok(Jumps(timer.map_err(io::Error::from)?))
    }

    /// Waits for the next one.
    pub async fn next(&self) -> io::Result<()> {
        loop {
            let mut ready = self.0.readable().await?;
            let mut count = [0_u8; 8];
            let read = nix::unistd::read(&self.0.get_ref().0, &mut count);
            ready.clear_ready();
            match read {
                Err(Errno::EAGAIN) => {}
                Ok(_) | Err(Errno::ECANCELED) => return self.0.get_ref().arm(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_the_machine_is_brought_over_as_its_clock_is_set() {
        let at = |seconds| Timestamp::from_second(seconds).expect("in range");
        // It was set back by an hour.
        let moment = Moment { steady: at(10_000), machine: at(6_400) };
        assert_eq!(moment.bring(at(6_390)), at(9_990));
        assert_eq!(moment.bring(at(6_500)), at(10_100));
        assert_eq!(moment.bring_past(at(9_995)), at(10_000), "what ended before it was set has ended");
        assert_eq!(moment.bring(Timestamp::MAX), Timestamp::MAX, "what any client writes");
        assert!(moment.bring(Timestamp::MIN) < at(0));
    }

    #[test]
    fn it_passes() {
        let first = now();
        assert!(now() >= first);
        assert!(now().duration_since(Timestamp::now()).abs() < SignedDuration::from_secs(60));
    }

    #[tokio::test]
    async fn a_clock_that_is_not_set_tells_nothing() {
        use futures::FutureExt;
        let jumps = Jumps::watch().expect("a timer");
        assert!(jumps.next().now_or_never().is_none());
    }
}
