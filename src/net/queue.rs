//! The queue between connections and the log: batches from any number of tasks to one consumer thread, bounded in
//! octets. Knows batches only. A producer finds room, waits for it as a future, or goes without; the consumer blocks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::event::{Batch, Event, What};

/// How long the consumer dozes after work before it sleeps until it is woken. A wake-up costs the relay more than a
/// whole small read; while the consumer dozes, events gather for free and are shown this much later at most.
const DOZE: Duration = Duration::from_millis(4);

/// How many octets of used batches are kept for re-use.
const SPARE: usize = 1024 * 1024;

/// A queue that holds `limit` octets of batches (and at most one batch more).
#[must_use]
pub fn channel(limit: usize) -> (Sender, Receiver) {
    let shared = Arc::new(Shared {
        limit: limit.max(1),
        used: AtomicUsize::new(0),
        waiting: AtomicBool::new(false),
        state: Mutex::new(State { senders: 1, ..State::default() }),
        wake: Condvar::new(),
    });
    (
        Sender { shared: shared.clone() },
        Receiver { shared, taken: VecDeque::new(), in_hand: 0, worked: false, spare: Vec::new() },
    )
}

/// The producers' end. Cheap to clone; the queue ends when the last one is dropped.
#[derive(Debug)]
pub struct Sender {
    shared: Arc<Shared>,
}

/// The consumer's end, for a thread of its own.
#[derive(Debug)]
pub struct Receiver {
    shared: Arc<Shared>,
    taken: VecDeque<(Batch, usize)>,
    /// Octets of the batch that was handed out last; they count until the next one is asked for.
    in_hand: usize,
    /// True from when a batch was handed out until the consumer has dozed.
    worked: bool,
    spare: Vec<Batch>,
}

#[derive(Debug)]
struct Shared {
    limit: usize,
    /// Octets in the queue and in the consumer's hands.
    used: AtomicUsize,
    /// True while producers wait for room.
    waiting: AtomicBool,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    batches: VecDeque<(Batch, usize)>,
    spare: Vec<Batch>,
    spare_octets: usize,
    senders: usize,
    gone: bool,
    consumer: Consumer,
    waiters: BTreeMap<u64, Waker>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Consumer {
    #[default]
    Awake,
    Dozing,
    Asleep,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who waits goes first: while someone does, room is only below three quarters.
    fn roomy(&self) -> bool {
        let limit = if self.waiting.load(Ordering::SeqCst) { self.limit - self.limit / 4 } else { self.limit };
        self.used.load(Ordering::SeqCst) < limit
    }

    fn push(&self, mut state: MutexGuard<'_, State>, batch: &mut Batch) {
        if state.gone {
            batch.bytes.clear();
            batch.events.clear();
            return;
        }
        let fresh = state.spare.pop().unwrap_or_default();
        state.spare_octets = state.spare_octets.saturating_sub(octets(&fresh));
        let full = std::mem::replace(batch, fresh);
        let weight = weigh(&full);
        let used = self.used.fetch_add(weight, Ordering::SeqCst) + weight;
        state.batches.push_back((full, weight));
        let wake = match state.consumer {
            Consumer::Awake => false,
            Consumer::Dozing => used >= self.limit / 4,
            Consumer::Asleep => true,
        };
        if wake {
            state.consumer = Consumer::Awake;
            drop(state);
            self.wake.notify_one();
        }
    }

    fn release(&self, weight: usize) {
        let used = self.used.fetch_sub(weight, Ordering::SeqCst) - weight;
        if self.waiting.load(Ordering::SeqCst) && used < self.limit - self.limit / 4 {
            let waiters = {
                let mut state = self.lock();
                self.waiting.store(false, Ordering::SeqCst);
                std::mem::take(&mut state.waiters)
            };
            waiters.into_values().for_each(Waker::wake);
        }
    }
}

impl Sender {
    /// Puts the batch if there is room, and leaves an empty one in its place; else leaves it as it is and says false.
    pub fn put(&self, batch: &mut Batch) -> bool {
        let state = self.shared.lock();
        let room = state.gone || self.shared.roomy();
        if room {
            self.shared.push(state, batch);
        }
        room
    }

    /// Like [`Sender::put`], but the task is woken when there is room again. One waiter a connection.
    pub fn poll_put(&self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<()> {
        let mut state = self.shared.lock();
        if !state.gone && !self.shared.roomy() {
            let key = batch.connection;
            state.waiters.insert(key, cx.waker().clone());
            self.shared.waiting.store(true, Ordering::SeqCst);
            // The consumer may have made room before it could see that someone waits.
            if !self.shared.roomy() {
                return Poll::Pending;
            }
            state.waiters.remove(&key);
            self.shared.waiting.store(!state.waiters.is_empty(), Ordering::SeqCst);
        }
        self.shared.push(state, batch);
        Poll::Ready(())
    }

    /// Puts the batch whether there is room or not: for the few events that must never be lost, at the very end.
    pub fn force(&self, batch: &mut Batch) {
        self.shared.push(self.shared.lock(), batch);
    }

    /// True if the queue is at most half full: time to go on after a lag.
    #[must_use]
    pub fn relaxed(&self) -> bool {
        self.shared.used.load(Ordering::SeqCst) <= self.shared.limit / 2
    }
}

impl Clone for Sender {
    fn clone(&self) -> Self {
        self.shared.lock().senders += 1;
        Sender { shared: self.shared.clone() }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.senders -= 1;
        if state.senders == 0 {
            state.consumer = Consumer::Awake;
            drop(state);
            self.shared.wake.notify_one();
        }
    }
}

impl Receiver {
    /// The next batch, as soon as there is one; `None` when all senders are gone and nothing is left.
    pub fn recv(&mut self) -> Option<Batch> {
        self.let_go();
        while self.taken.is_empty() {
            let mut state = self.shared.lock();
            if !state.batches.is_empty() {
                exchange(state, &mut self.taken, &mut self.spare);
            } else if state.senders == 0 {
                return None;
            } else if self.worked {
                self.worked = false;
                state.consumer = Consumer::Dozing;
                let slept = self.shared.wake.wait_timeout_while(state, DOZE, |s| s.consumer == Consumer::Dozing);
                slept.unwrap_or_else(PoisonError::into_inner).0.consumer = Consumer::Awake;
            } else {
                state.consumer = Consumer::Asleep;
                let woken = self.shared.wake.wait_while(state, |s| s.consumer == Consumer::Asleep);
                woken.unwrap_or_else(PoisonError::into_inner).consumer = Consumer::Awake;
            }
        }
        self.hand_out()
    }

    /// The next batch if there is one now: what `None` means is that it is time to flush.
    pub fn try_recv(&mut self) -> Option<Batch> {
        self.let_go();
        if self.taken.is_empty() {
            let state = self.shared.lock();
            exchange(state, &mut self.taken, &mut self.spare);
        }
        self.hand_out()
    }

    /// Gives a used batch back, so that producers need not allocate one.
    pub fn recycle(&mut self, mut batch: Batch) {
        batch.bytes.clear();
        batch.events.clear();
        if octets(&batch) <= SPARE / 2 && self.spare.len() < 64 {
            self.spare.push(batch);
        }
    }

    fn let_go(&mut self) {
        if self.in_hand > 0 {
            self.shared.release(std::mem::take(&mut self.in_hand));
        }
    }

    fn hand_out(&mut self) -> Option<Batch> {
        let (batch, weight) = self.taken.pop_front()?;
        self.in_hand = weight;
        self.worked = true;
        Some(batch)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.gone = true;
        state.batches.clear();
        state.spare.clear();
        let waiters = std::mem::take(&mut state.waiters);
        drop(state);
        waiters.into_values().for_each(Waker::wake);
    }
}

/// Takes all batches there are, and leaves used ones.
fn exchange(mut state: MutexGuard<'_, State>, taken: &mut VecDeque<(Batch, usize)>, spare: &mut Vec<Batch>) {
    std::mem::swap(&mut state.batches, taken);
    while let Some(batch) = spare.pop() {
        let weight = octets(&batch);
        if state.spare_octets + weight > SPARE {
            break;
        }
        state.spare_octets += weight;
        state.spare.push(batch);
    }
    drop(state);
    spare.clear();
}

fn octets(batch: &Batch) -> usize {
    size_of::<Batch>() + batch.bytes.capacity() + batch.events.capacity() * size_of::<Event>()
}

/// What a batch costs in memory, in octets; what events own beyond themselves is counted by its length.
fn weigh(batch: &Batch) -> usize {
    let owned = |event: &Event| match &event.what {
        What::Text(text) => {
            size_of_val(text.secrets.as_slice())
                + size_of_val(text.oddities.as_slice())
                + text.reading.list.as_ref().map_or(0, |list| size_of_val(list.items.as_slice()))
        }
        What::Data(data) => size_of_val(data.oddities.as_slice()),
        _ => 0,
    };
    octets(batch) + batch.events.iter().map(owned).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Peer;

    fn batch(connection: u64, octets: usize) -> Batch {
        let events = vec![Event { from: Peer::Client, what: What::HalfClosed }];
        Batch { connection, bytes: vec![b'x'; octets], events, ..Batch::default() }
    }

    #[test]
    fn order_is_kept_and_the_end_is_seen() {
        let (sender, mut receiver) = channel(1 << 20);
        let other = sender.clone();
        for n in 1..=100 {
            assert!(if n % 2 == 0 { sender.put(&mut batch(n, 10)) } else { other.put(&mut batch(n, 10)) });
        }
        drop((sender, other));
        let seen: Vec<u64> = std::iter::from_fn(|| receiver.recv()).map(|b| b.connection).collect();
        assert_eq!(seen, (1..=100).collect::<Vec<_>>());
    }

    #[test]
    fn octets_are_bounded_and_room_comes_back() {
        let (sender, mut receiver) = channel(64 * 1024);
        let mut put = 0;
        while sender.put(&mut batch(1, 8 * 1024)) {
            put += 1;
        }
        assert!((7..=8).contains(&put), "{put} batches of 8 KiB fit into 64 KiB");
        let mut refused = batch(1, 5);
        assert!(!sender.put(&mut refused));
        assert_eq!(refused.bytes.len(), 5, "a refused batch stays with its owner");
        // What is in hand still counts; it is free once the next one is asked for.
        while receiver.try_recv().is_some() {}
        assert!(sender.relaxed() && sender.put(&mut refused));
        assert!(refused.events.is_empty());
    }

    #[test]
    fn a_waiter_is_woken_by_a_drain() {
        let (sender, mut receiver) = channel(16 * 1024);
        while sender.put(&mut batch(1, 4096)) {}
        let waiting = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let mut last = batch(9, 1);
                std::future::poll_fn(|cx| sender.poll_put(cx, &mut last)).await;
            });
        });
        let seen: Vec<u64> = std::iter::from_fn(|| receiver.recv()).map(|b| b.connection).collect();
        assert_eq!(seen.last(), Some(&9));
        waiting.join().unwrap();
    }

    #[test]
    fn used_batches_go_round() {
        let (sender, mut receiver) = channel(1 << 20);
        let mut one = batch(1, 1000);
        assert!(sender.put(&mut one));
        let used = receiver.try_recv().unwrap();
        receiver.recycle(used);
        assert!(sender.put(&mut batch(2, 0)));
        assert!(receiver.try_recv().is_some());
        let mut two = batch(3, 1);
        assert!(sender.put(&mut two));
        assert!(two.bytes.capacity() >= 1000 && two.bytes.is_empty());
    }

    #[test]
    fn without_a_consumer_nothing_blocks() {
        let (sender, receiver) = channel(1);
        assert!(sender.put(&mut batch(1, 100)));
        assert!(!sender.put(&mut batch(1, 100)));
        drop(receiver);
        assert!(sender.put(&mut batch(1, 100)));
    }
}
