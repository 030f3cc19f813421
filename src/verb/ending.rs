//! What ends the proxy: Ctrl-C, SIGTERM, and SIGHUP unless that reads rules again. And what ends it if the rest of the
//! program cannot, because an output is stuck.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep};

use super::child;
use super::tell;

/// How long connections and outputs may take to end after the first signal.
const LIMIT: Duration = Duration::from_millis(4500);

/// How long standard error may take for the last sentence.
const LAST: Duration = Duration::from_millis(200);

/// A signal that asks us to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caught {
    /// SIGINT. A terminal sends it to the programs that we started as well.
    Interrupt,
    /// SIGTERM, which is for us alone; or SIGHUP.
    Terminate,
}

/// What SIGHUP means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hangups {
    /// The end, as SIGTERM, unless it was ignored when the process began.
    End,
    /// Something else, which is not done here.
    Other,
}

/// All of them, caught from here on, and not only once somebody waits: who reads that we listen may end us at once.
#[derive(Debug)]
pub struct Signals(Option<Streams>);

/// SIGINT, SIGTERM, and SIGHUP where it ends us.
type Streams = (Signal, Signal, Option<Signal>);

impl Signals {
    /// Catches them. Must be called in a runtime.
    #[must_use]
    pub fn catch(hangups: Hangups) -> Self {
        let all = || {
            let hangup =
                (hangups == Hangups::End && hears_hangups()).then(|| signal(SignalKind::hangup())).transpose()?;
            std::io::Result::Ok((signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, hangup))
        };
        // Without signals only the end of the process ends the proxy.
        Signals(all().ok())
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Caught {
        let Some((interrupt, terminate, hangup)) = &mut self.0 else { return std::future::pending().await };
        let hung_up = async {
            match hangup {
                Some(hangup) => drop(hangup.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => Caught::Interrupt,
            _ = terminate.recv() => Caught::Terminate,
            () = hung_up => Caught::Terminate,
        }
    }

    /// From here on, so many of them end the process, and wait for nothing.
    pub fn then_exit(mut self, count: usize) {
        tokio::spawn(async move {
            for _ in 0..count {
                self.next().await;
            }
            std::process::exit(130);
        });
    }
}

/// True if the system says that SIGHUP is not ignored. `nohup` ignores it for the programs that it starts.
fn hears_hangups() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // Its lowest bit is signal 1.
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 0)
}

/// Ends the process in time after the first signal, whatever everybody else waits for: an output that nobody reads, a
/// terminal that was stopped. It has a thread and a runtime of its own, for the others may be held up by such an output.
#[derive(Debug)]
pub struct LastResort {
    /// A command runs, which has times of its own.
    busy: Arc<AtomicBool>,
}

impl LastResort {
    /// Waits for the first signal from here on. With `busy` a command runs first: it is waited for until this is dropped,
    /// or until its own times are over.
    #[must_use]
    pub fn prepare(hangups: Hangups, busy: bool) -> Self {
        let (own, linger) = if busy { (child::LONGEST, child::LINGER) } else { (Duration::ZERO, Duration::ZERO) };
        let busy = Arc::new(AtomicBool::new(busy));
        let resort = LastResort { busy: Arc::clone(&busy) };
        let (ready, prepared) = mpsc::channel();
        let wait = move || {
            // Without a runtime or a thread for this, a second signal still ends the process.
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            runtime.block_on(async {
                let mut signals = Signals::catch(hangups);
                drop(ready);
                signals.next().await;
                let latest = Instant::now() + own;
                while busy.load(Ordering::SeqCst) && Instant::now() < latest {
                    sleep(Duration::from_millis(20)).await;
                }
                sleep(linger + LIMIT).await;
            });
            give_up();
        };
        if thread::Builder::new().name("signals".to_owned()).spawn(wait).is_ok() {
            let _: Result<(), _> = prepared.recv();
        }
        resort
    }
}

impl Drop for LastResort {
    fn drop(&mut self) {
        self.busy.store(false, Ordering::SeqCst);
    }
}

/// Ends the process without its outputs.
fn give_up() -> ! {
    let (done, said) = mpsc::channel::<()>();
    // Standard error may be what is stuck.
    let _ = thread::Builder::new().spawn(move || {
        tell("error: an output took nothing for too long after the signal; the end of the log is lost");
        drop(done);
    });
    let _ = said.recv_timeout(LAST);
    std::process::exit(1)
}

/// Waits for a signal that ends the proxy. A second one while connections end does not wait for them.
pub fn interrupted(hangups: Hangups) -> impl Future<Output = u8> {
    drop(LastResort::prepare(hangups, false));
    let mut signals = Signals::catch(hangups);
    async move {
        signals.next().await;
        signals.then_exit(1);
        0
    }
}

/// Returns what becomes true at the first signal, for those who wait for none. A second one ends the process, as does the first
/// one if the rest takes too long.
pub fn flagged() -> Arc<AtomicBool> {
    drop(LastResort::prepare(Hangups::End, false));
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    let (ready, prepared) = mpsc::channel();
    let wait = move || {
        // Without a runtime or a thread for this, the last resort is left.
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            let mut signals = Signals::catch(Hangups::End);
            drop(ready);
            signals.next().await;
            raised.store(true, Ordering::SeqCst);
            signals.next().await;
            std::process::exit(130);
        });
    };
    if thread::Builder::new().name("stop".to_owned()).spawn(wait).is_ok() {
        let _: Result<(), _> = prepared.recv();
    }
    flag
}

/// Waits for `end`, and does something at each SIGHUP until then.
pub fn tending(again: Option<impl Fn()>, end: impl Future<Output = u8>) -> impl Future<Output = u8> {
    let hangups = again.as_ref().and_then(|_| signal(SignalKind::hangup()).ok());
    async move {
        let (Some(again), Some(mut hangups)) = (again, hangups) else { return end.await };
        let mut end = std::pin::pin!(end);
        loop {
            tokio::select! {
                code = &mut end => return code,
                Some(()) = hangups.recv() => again(),
            }
        }
    }
}
