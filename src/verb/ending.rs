//! What ends the proxy: Ctrl-C and SIGTERM. And what SIGHUP does meanwhile.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// A signal that asks us to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caught {
    /// SIGINT. A terminal sends it to the programs that we started as well.
    Interrupt,
    /// SIGTERM, which is for us alone.
    Terminate,
}

/// Both signals, caught from here on, and not only once somebody waits: who reads that we listen may end us at once.
#[derive(Debug)]
pub struct Signals(Option<(Signal, Signal)>);

impl Signals {
    /// Catches them.
    #[must_use]
    pub fn catch() -> Self {
        let both = signal(SignalKind::interrupt()).and_then(|one| Ok((one, signal(SignalKind::terminate())?)));
        // Without signals only the end of the process ends the proxy.
        Signals(both.ok())
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Caught {
        let Some((interrupt, terminate)) = &mut self.0 else { return std::future::pending().await };
        tokio::select! {
            _ = interrupt.recv() => Caught::Interrupt,
            _ = terminate.recv() => Caught::Terminate,
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

/// Waits for Ctrl-C or SIGTERM. A second one while connections end does not wait for them.
pub fn interrupted() -> impl Future<Output = u8> {
    let mut signals = Signals::catch();
    async move {
        signals.next().await;
        signals.then_exit(1);
        0
    }
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
