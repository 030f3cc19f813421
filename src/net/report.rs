//! What one connection reports: stamps its batches and hands them to the log's queue, waits for room for a bounded
//! time, then goes on without the log, counts what is lost and says so. An opening and a close are never lost.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep};

use super::queue::Sender;
use super::{Clock, stopped};
use crate::event::{Batch, Event, Peer, What};

/// How long the last events of a connection wait for room once everything is to stop.
const LAST: Duration = Duration::from_secs(1);

/// One connection's way to the log.
#[derive(Debug)]
pub struct Report {
    sender: Sender,
    connection: u64,
    clock: Clock,
    patience: Duration,
    /// What of one read found no room. While it waits, the connection must not read.
    kept: Option<Box<Kept>>,
    /// Set from when patience ran out until there is room again.
    lag: Option<Box<Lag>>,
}

#[derive(Debug)]
struct Kept {
    batches: VecDeque<Batch>,
    until: Pin<Box<Sleep>>,
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
        Report { sender, connection, clock, patience, kept: None, lag: None }
    }

    /// Hands the batch over, stamped with `at`, and leaves an empty one in its place.
    pub fn put(&mut self, batch: &mut Batch, at: Instant) {
        if batch.events.is_empty() {
            batch.bytes.clear();
            return;
        }
        batch.connection = self.connection;
        batch.at = self.clock.at(at);
        if self.lag.is_some() {
            if !self.sender.relaxed() {
                self.lose(batch);
                return;
            }
            self.confess(batch);
        }
        if let Some(kept) = &mut self.kept {
            kept.batches.push_back(std::mem::take(batch));
        } else if !self.sender.put(batch) {
            let batches = VecDeque::from([std::mem::take(batch)]);
            self.kept = Some(Box::new(Kept { batches, until: Box::pin(sleep(self.patience)) }));
        }
    }

    /// Returns true if nothing waits for room in the queue, as far as [`Report::poll_room`] has found out.
    #[must_use]
    pub const fn has_room(&self) -> bool {
        self.kept.is_none()
    }

    /// Ready when the connection may read: nothing waits for room any more, or it has waited long enough.
    pub fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(kept) = &mut self.kept else { return Poll::Ready(()) };
        while let Some(batch) = kept.batches.front_mut() {
            if self.sender.poll_put(cx, batch).is_pending() {
                ready!(kept.until.as_mut().poll(cx));
                break;
            }
            kept.batches.pop_front();
        }
        if let Some(mut kept) = self.kept.take() {
            kept.batches.iter_mut().for_each(|batch| self.lose(batch));
        }
        Poll::Ready(())
    }

    /// Hands over the last batch, however long it takes; once all is to stop, within a second.
    pub async fn end(mut self, mut last: Batch, stop: &mut watch::Receiver<bool>) {
        last.connection = self.connection;
        last.at = self.clock.at(Instant::now());
        self.confess(&mut last);
        let mut batches = self.kept.take().map(|kept| kept.batches).unwrap_or_default();
        batches.push_back(last);
        let sender = &self.sender;
        let put = async |batches: &mut VecDeque<Batch>| {
            while let Some(batch) = batches.front_mut() {
                poll_fn(|cx| sender.poll_put(cx, batch)).await;
                batches.pop_front();
            }
        };
        let in_time = tokio::select! {
            () = put(&mut batches) => true,
            () = async { stopped(stop).await; sleep(LAST).await } => false,
        };
        if !in_time {
            batches.iter_mut().for_each(|batch| sender.force(batch));
        }
    }

    fn lose(&mut self, batch: &mut Batch) {
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
    use super::super::queue::channel;
    use super::*;

    fn batch(what: What, octets: usize) -> Batch {
        Batch { bytes: vec![b'x'; octets], events: vec![Event { from: Peer::Server, what }], ..Batch::default() }
    }

    #[tokio::test]
    async fn what_is_lost_is_counted_and_said_first() {
        let (sender, mut receiver) = channel(1);
        assert!(sender.put(&mut batch(What::HalfClosed, 0)), "this one fills the queue");
        let mut report = Report::new(sender, 7, Clock::start(), Duration::from_millis(50));
        report.put(&mut batch(What::Opened(Box::default()), 0), Instant::now());
        let begun = Instant::now();
        poll_fn(|cx| report.poll_room(cx)).await;
        assert!(begun.elapsed() >= Duration::from_millis(40), "it waits, and not for ever");
        for octets in [10, 20] {
            report.put(&mut batch(What::HalfClosed, octets), Instant::now());
            let room = poll_fn(|cx| Poll::Ready(report.poll_room(cx))).await;
            assert!(room.is_ready(), "after that it does not wait again");
        }
        while receiver.try_recv().is_some() {}
        report.put(&mut batch(What::HalfClosed, 5), Instant::now());
        let got = receiver.recv().unwrap();
        assert_eq!((got.connection, got.bytes.len()), (7, 5));
        let whats: Vec<What> = got.events.into_iter().map(|event| event.what).collect();
        let opened = What::Opened(Box::default());
        assert_eq!(whats, [opened, What::Lag { events: 2, bytes: 30 }, What::HalfClosed]);
    }

    #[tokio::test]
    async fn a_batch_that_waits_goes_out_when_there_is_room() {
        let (sender, mut receiver) = channel(1);
        assert!(sender.put(&mut batch(What::HalfClosed, 0)));
        let mut report = Report::new(sender, 7, Clock::start(), Duration::from_secs(1));
        for octets in [5, 6] {
            report.put(&mut batch(What::HalfClosed, octets), Instant::now());
        }
        for octets in [0, 5, 6] {
            let room = poll_fn(|cx| Poll::Ready(report.poll_room(cx))).await;
            assert_eq!(room.is_ready(), octets == 6, "one at a time fits");
            assert_eq!(receiver.try_recv().unwrap().bytes.len(), octets);
            assert!(receiver.try_recv().is_none());
        }
    }
}
