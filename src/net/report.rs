//! What one connection reports: stamps its batches and hands them to the log's queue, waits for room for a bounded
//! time, then goes on without the log, counts what is lost and says so. An opening and a close are never lost.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep};

use super::queue::Sender;
use super::{Clock, stopped};
use crate::event::{Batch, Event, Peer, Time, What};

/// How long the last events of a connection wait for room once everything is to stop.
const LAST: Duration = Duration::from_secs(1);

/// One connection's way to the log.
#[derive(Debug)]
pub struct Report {
    sender: Sender,
    connection: u64,
    clock: Clock,
    patience: Duration,
    /// Set while there is no room, with the end of patience. The connection must not read meanwhile.
    wait: Option<Pin<Box<Sleep>>>,
    /// Set from when patience ran out until there is room again.
    lag: Option<Box<Lag>>,
}

#[derive(Debug, Default)]
struct Lag {
    events: u64,
    bytes: u64,
    /// Events that must not be lost.
    saved: Vec<Event>,
}

impl Report {
    /// Reports connection number `connection`; waits for room for `patience` at most.
    #[must_use]
    pub fn new(sender: Sender, connection: u64, clock: Clock, patience: Duration) -> Self {
        Report { sender, connection, clock, patience, wait: None, lag: None }
    }

    /// Hands the batch over, stamped with `at`, and leaves an empty one in its place. Nothing is kept here: whoever reads
    /// asks [`Report::poll_room`] before, so that no more than one batch a thread finds the queue full. What is
    /// reported unasked, such as an opening, is small.
    pub fn put(&mut self, batch: &mut Batch, at: Instant) {
        if batch.events.is_empty() {
            batch.bytes.clear();
            return;
        }
        batch.connection = self.connection;
        batch.at = self.clock.at(at);
        let late = self.wait.as_ref().is_some_and(|wait| wait.is_elapsed());
        if self.lag.is_some() && !self.sender.is_relaxed() || late && !self.sender.has_room() {
            self.lose(batch);
            return;
        }
        self.confess(batch);
        self.sender.put(batch);
    }

    /// A moment of the runtime's clock as the log has it.
    #[must_use]
    pub fn time(&self, at: Instant) -> Time {
        self.clock.at(at)
    }

    /// Returns true if the connection may read, as far as [`Report::poll_room`] has found out.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.lag.is_some() || self.wait.as_ref().is_none_or(|wait| wait.is_elapsed())
    }

    /// Ready when the connection may read: there is room for what comes of it, or it has waited long enough.
    pub fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.lag.is_some() {
            return Poll::Ready(());
        }
        if self.sender.poll_room(cx, self.connection).is_ready() {
            self.wait = None;
            return Poll::Ready(());
        }
        let wait = self.wait.get_or_insert_with(|| Box::pin(sleep(self.patience)));
        if wait.is_elapsed() { Poll::Ready(()) } else { wait.as_mut().poll(cx) }
    }

    /// Hands over the last batch, however long it takes; once all is to stop, within a second.
    pub async fn end(mut self, mut last: Batch, stop: &mut watch::Receiver<bool>) {
        last.connection = self.connection;
        last.at = self.clock.at(Instant::now());
        self.confess(&mut last);
        let (sender, connection) = (&self.sender, self.connection);
        tokio::select! {
            () = poll_fn(|cx| sender.poll_room(cx, connection)) => {}
            () = async { stopped(stop).await; sleep(LAST).await } => {}
        }
        self.sender.put(&mut last);
    }

    fn lose(&mut self, batch: &mut Batch) {
        self.wait = None;
        let lag = self.lag.get_or_insert_default();
        lag.bytes += batch.bytes.len() as u64;
        for event in batch.events.drain(..) {
            match event.what {
                What::Opened(_) | What::Tls(_) | What::Closed(_) => lag.saved.push(event),
                // A lag within what is lost is not one event but those it stands for.
                What::Lag { events, bytes } => {
                    lag.events += events;
                    lag.bytes += bytes;
                }
                _ => lag.events += 1,
            }
        }
        batch.bytes.clear();
    }

    /// Puts what was saved, and the count of what was lost, before everything else.
    fn confess(&mut self, batch: &mut Batch) {
        if let Some(lag) = self.lag.take() {
            let count = What::Lag { events: lag.events, bytes: lag.bytes };
            let count = (lag.events > 0).then_some(Event { from: Peer::Client, what: count });
            batch.events.splice(0..0, lag.saved.into_iter().chain(count));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::queue::{Receiver, channel};
    use super::*;

    fn batch(what: What, octets: usize) -> Batch {
        Batch { bytes: vec![b'x'; octets], events: vec![Event { from: Peer::Server, what }], ..Batch::default() }
    }

    fn octets(receiver: &mut Receiver) -> Vec<usize> {
        std::iter::from_fn(|| receiver.try_recv()).map(|batch| batch.bytes.len()).collect()
    }

    #[tokio::test]
    async fn what_is_lost_is_counted_and_said_first() {
        let (sender, mut receiver) = channel(1);
        sender.put(&mut batch(What::HalfClosed, 0));
        let mut report = Report::new(sender.clone(), 7, Clock::start(), Duration::from_millis(50));
        report.put(&mut batch(What::Opened(Box::default()), 0), Instant::now());
        let begun = Instant::now();
        poll_fn(|cx| report.poll_room(cx)).await;
        assert!(begun.elapsed() >= Duration::from_millis(40), "it waits, and not for ever");
        for octets in [10, 20] {
            report.put(&mut batch(What::HalfClosed, octets), Instant::now());
            let room = poll_fn(|cx| Poll::Ready(report.poll_room(cx))).await;
            assert!(room.is_ready(), "after that it does not wait again");
        }
        assert_eq!(octets(&mut receiver), [0, 0], "an opening is never lost");
        report.put(&mut batch(What::HalfClosed, 5), Instant::now());
        let got = receiver.recv().unwrap();
        assert_eq!((got.connection, got.bytes.len()), (7, 5));
        let whats: Vec<What> = got.events.into_iter().map(|event| event.what).collect();
        assert_eq!(whats, [What::Lag { events: 2, bytes: 30 }, What::HalfClosed]);
    }

    #[tokio::test]
    async fn who_waited_long_enough_loses_nothing_once_there_is_room() {
        let (sender, mut receiver) = channel(1);
        sender.put(&mut batch(What::HalfClosed, 0));
        let mut report = Report::new(sender, 7, Clock::start(), Duration::from_millis(1));
        poll_fn(|cx| report.poll_room(cx)).await;
        assert_eq!(octets(&mut receiver), [0]);
        report.put(&mut batch(What::HalfClosed, 5), Instant::now());
        assert_eq!(octets(&mut receiver), [5]);
    }

    #[tokio::test]
    async fn who_waits_goes_on_when_there_is_room() {
        let (sender, mut receiver) = channel(1);
        sender.put(&mut batch(What::HalfClosed, 0));
        let mut report = Report::new(sender, 7, Clock::start(), Duration::from_secs(60));
        assert!(poll_fn(|cx| Poll::Ready(report.poll_room(cx))).await.is_pending());
        assert_eq!(octets(&mut receiver), [0]);
        poll_fn(|cx| report.poll_room(cx)).await;
        report.put(&mut batch(What::HalfClosed, 5), Instant::now());
        assert_eq!(octets(&mut receiver), [5]);
    }
}
