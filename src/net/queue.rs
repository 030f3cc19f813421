//! The queue between connections and the log: batches from any number of tasks to one consumer thread. Knows batches only.
//!
//! It is bounded in bytes of memory, for each connection and for all. A producer asks for room before it makes a batch,
//! so that no batch waits anywhere else: the queue exceeds its limit by one batch a thread at most, and by what is never
//! lost. A connection with little in the queue finds room where one that fills it does not; so a flood on one
//! connection delays no other. The consumer blocks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::weight::{content, slack};
use crate::event::Batch;

/// How long the consumer dozes after work before it sleeps until it is woken. A wake-up costs the relay more than a
/// whole small read; while the consumer dozes, events gather for free and are shown this much later at most.
const DOZE: Duration = Duration::from_millis(4);

/// Maximum number of bytes of used batches that are kept for re-use.
const SPARE: usize = 1024 * 1024;

/// A batch whose memory is larger than this, in bytes, and mostly unused, is not queued itself, but a copy that fits.
const ROOMY: usize = 16 * 1024;

/// A connection is light while it has no more than this part of the limit in the queue.
const LIGHT: usize = 64;

/// The part of the limit that one connection may have in the queue.
const SHARE: usize = 4;

/// A queue that holds `limit` bytes of batches, and one batch more a thread.
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
        Sender { shared: shared.clone(), own: Arc::default() },
        Receiver { shared, taken: VecDeque::new(), in_hand: None, worked: false, spare: Vec::new() },
    )
}

/// One connection's end. The queue ends when the last one is dropped.
#[derive(Debug)]
pub struct Sender {
    shared: Arc<Shared>,
    /// Bytes of this connection in the queue and in the consumer's hands.
    own: Arc<AtomicUsize>,
}

/// The consumer's end, for a thread of its own.
#[derive(Debug)]
pub struct Receiver {
    shared: Arc<Shared>,
    taken: VecDeque<Queued>,
    /// The weight of the batch that was handed out last; it counts until the next one is asked for.
    in_hand: Option<Weight>,
    /// True from when a batch was handed out until the consumer has dozed.
    worked: bool,
    spare: Vec<Batch>,
}

#[derive(Debug)]
struct Shared {
    limit: usize,
    /// Bytes in the queue and in the consumer's hands.
    used: AtomicUsize,
    /// True while producers wait for room.
    waiting: AtomicBool,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    batches: VecDeque<Queued>,
    spare: Vec<Batch>,
    spare_bytes: usize,
    senders: usize,
    gone: bool,
    consumer: Consumer,
    /// The light connections that wait, and the others, by their numbers.
    light: BTreeMap<u64, Waker>,
    heavy: BTreeMap<u64, (Waker, Arc<AtomicUsize>)>,
}

#[derive(Debug)]
struct Queued {
    batch: Batch,
    weight: Weight,
}

/// What a batch costs.
#[derive(Debug)]
struct Weight {
    connection: u64,
    /// Bytes of memory.
    all: usize,
    /// Bytes that its connection has filled, and what it has filled in all.
    own: usize,
    owner: Arc<AtomicUsize>,
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

    /// True if a connection with so much in the queue finds room. A light one finds the last eighth of it, too; of the
    /// others, those that wait go first.
    fn has_room(&self, own: usize) -> bool {
        let used = self.used.load(Ordering::SeqCst);
        if own <= self.limit / LIGHT {
            return used < self.limit;
        }
        let most = if self.waiting.load(Ordering::SeqCst) { self.limit / 2 } else { self.limit - self.limit / 8 };
        used < most && own < self.limit / SHARE
    }

    fn push(&self, batch: &mut Batch, owner: &Arc<AtomicUsize>) {
        let (own, free) = (content(batch), slack(batch));
        let mut state = self.lock();
        if state.gone {
            batch.bytes.clear();
            batch.events.clear();
            return;
        }
        let full = if free > ROOMY && free > own * 3 {
            fitting(batch)
        } else {
            let fresh = state.spare.pop().unwrap_or_default();
            state.spare_bytes = state.spare_bytes.saturating_sub(slack(&fresh));
            std::mem::replace(batch, fresh)
        };
        let all = own + slack(&full);
        owner.fetch_add(own, Ordering::SeqCst);
        let used = self.used.fetch_add(all, Ordering::SeqCst) + all;
        let weight = Weight { connection: full.connection, all, own, owner: Arc::clone(owner) };
        state.batches.push_back(Queued { batch: full, weight });
        let wake = match state.consumer {
            Consumer::Awake => false,
            // Well before the connection that fills it has to wait.
            Consumer::Dozing => used >= self.limit / SHARE / 2,
            Consumer::Asleep => true,
        };
        if wake {
            state.consumer = Consumer::Awake;
            drop(state);
            self.wake.notify_one();
        }
    }

    /// A batch is done with: wakes whoever may find room now. A heavy connection is woken when half of its own share is free,
    /// and else half of all: one that fills its share would wait again after each batch. It is light by and by if it is not
    /// served before.
    fn release(&self, weight: &Weight) {
        let own = weight.owner.fetch_sub(weight.own, Ordering::SeqCst) - weight.own;
        let used = self.used.fetch_sub(weight.all, Ordering::SeqCst) - weight.all;
        if !self.waiting.load(Ordering::SeqCst) {
            return;
        }
        let (mut light, half) = (BTreeMap::new(), self.limit / SHARE / 2);
        let mut state = self.lock();
        if used < self.limit - self.limit / 8 {
            light = std::mem::take(&mut state.light);
        }
        let mut woken: Vec<Waker> = light.into_values().collect();
        if used <= self.limit / 2 {
            let free = state.heavy.extract_if(.., |_, (_, own)| own.load(Ordering::SeqCst) <= half);
            woken.extend(free.map(|(_, (waker, _))| waker));
        } else if own <= half {
            woken.extend(state.heavy.remove(&weight.connection).map(|(waker, _)| waker));
        }
        self.waiting.store(!(state.light.is_empty() && state.heavy.is_empty()), Ordering::SeqCst);
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }
}

impl Sender {
    /// Puts the batch, and leaves an empty one in its place. Whoever may be asked to wait has made sure that there is room.
    pub fn put(&self, batch: &mut Batch) {
        self.shared.push(batch, &self.own);
    }

    /// True if there is room for a batch of this connection.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.shared.has_room(self.own()) || self.shared.lock().gone
    }

    /// Ready if there is room for a batch of this connection; else its task is woken when there may be.
    pub fn poll_room(&self, cx: &mut Context<'_>, connection: u64) -> Poll<()> {
        if self.shared.has_room(self.own()) {
            return Poll::Ready(());
        }
        let mut state = self.shared.lock();
        if state.gone {
            return Poll::Ready(());
        }
        let light = self.own() <= self.shared.limit / LIGHT;
        state.light.remove(&connection);
        state.heavy.remove(&connection);
        if light {
            state.light.insert(connection, cx.waker().clone());
        } else {
            state.heavy.insert(connection, (cx.waker().clone(), Arc::clone(&self.own)));
        }
        self.shared.waiting.store(true, Ordering::SeqCst);
        // The consumer may have made room before it could see that someone waits.
        if !self.shared.has_room(self.own()) {
            return Poll::Pending;
        }
        state.light.remove(&connection);
        state.heavy.remove(&connection);
        self.shared.waiting.store(!(state.light.is_empty() && state.heavy.is_empty()), Ordering::SeqCst);
        Poll::Ready(())
    }

    /// True if the queue is at most half full, and this connection's share is: time to go on after a lag.
    #[must_use]
    pub fn is_relaxed(&self) -> bool {
        let limit = self.shared.limit;
        self.shared.used.load(Ordering::SeqCst) <= limit / 2 && self.own() <= limit / SHARE / 2
    }

    fn own(&self) -> usize {
        self.own.load(Ordering::SeqCst)
    }
}

/// The end of another connection.
impl Clone for Sender {
    fn clone(&self) -> Self {
        self.shared.lock().senders += 1;
        Sender { shared: self.shared.clone(), own: Arc::default() }
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
        if slack(&batch) <= SPARE / 2 && self.spare.len() < 64 {
            self.spare.push(batch);
        }
    }

    fn let_go(&mut self) {
        if let Some(weight) = self.in_hand.take() {
            self.shared.release(&weight);
        }
    }

    fn hand_out(&mut self) -> Option<Batch> {
        let Queued { batch, weight } = self.taken.pop_front()?;
        self.in_hand = Some(weight);
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
        let (light, heavy) = (std::mem::take(&mut state.light), std::mem::take(&mut state.heavy));
        drop(state);
        light.into_values().chain(heavy.into_values().map(|(waker, _)| waker)).for_each(Waker::wake);
    }
}

/// Takes all batches there are, and leaves used ones.
fn exchange(mut state: MutexGuard<'_, State>, taken: &mut VecDeque<Queued>, spare: &mut Vec<Batch>) {
    std::mem::swap(&mut state.batches, taken);
    while let Some(batch) = spare.pop() {
        let weight = slack(&batch);
        if state.spare_bytes + weight > SPARE {
            break;
        }
        state.spare_bytes += weight;
        state.spare.push(batch);
    }
    drop(state);
    spare.clear();
}

/// Bytes of memory that a batch takes, with all that its events own.
#[must_use]
pub fn weigh(batch: &Batch) -> usize {
    content(batch) + slack(batch)
}

/// Takes the content of a batch out into one that is no larger than it must be. Its memory stays.
fn fitting(batch: &mut Batch) -> Batch {
    let full = Batch {
        connection: batch.connection,
        at: batch.at,
        bytes: batch.bytes.clone(),
        events: batch.events.drain(..).collect(),
    };
    batch.bytes.clear();
    full
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Peer, What};

    fn batch(connection: u64, octets: usize) -> Batch {
        let events = vec![Event { from: Peer::Client, what: What::HalfClosed }];
        Batch { connection, bytes: vec![b'x'; octets], events, ..Batch::default() }
    }

    #[test]
    fn order_is_kept_and_the_end_is_seen() {
        let (sender, mut receiver) = channel(1 << 20);
        let other = sender.clone();
        for n in 1..=100 {
            if n % 2 == 0 { &sender } else { &other }.put(&mut batch(n, 10));
        }
        drop((sender, other));
        let seen: Vec<u64> = std::iter::from_fn(|| receiver.recv()).map(|b| b.connection).collect();
        assert_eq!(seen, (1..=100).collect::<Vec<_>>());
    }

    #[test]
    fn a_connection_fills_its_share_and_others_find_room() {
        let (flood, mut receiver) = channel(1 << 20);
        let other = flood.clone();
        let mut put = 0;
        while flood.has_room() {
            flood.put(&mut batch(1, 8 * 1024));
            put += 1;
        }
        assert!((30..=33).contains(&put), "{put} batches of 8 KiB are a quarter of 1 MiB");
        assert!(other.has_room());
        // What is in hand still counts; it is free once the next one is asked for.
        while receiver.try_recv().is_some() {}
        assert!(flood.is_relaxed() && flood.has_room());
    }

    #[test]
    fn all_together_fill_no_more_than_the_limit_and_light_ones_find_the_last_eighth() {
        let limit = 1 << 20;
        let (first, _receiver) = channel(limit);
        let floods: Vec<Sender> = (0..4).map(|_| first.clone()).collect();
        while let Some(flood) = floods.iter().find(|flood| flood.has_room()) {
            flood.put(&mut batch(1, 20 * 1024));
        }
        let used = first.shared.used.load(Ordering::SeqCst);
        assert!(used <= limit + 21 * 1024 && used > limit / 2, "{used}");
        let many: Vec<Sender> = (0..1000).map(|_| first.clone()).collect();
        let served =
            many.iter().take_while(|one| one.has_room().then(|| one.put(&mut batch(2, 1024))).is_some()).count();
        assert!((64..1000).contains(&served), "{served} light connections beside 4 floods");
        let used = first.shared.used.load(Ordering::SeqCst);
        assert!(used < limit + 4096, "{used}");
    }

    #[test]
    fn whoever_waits_is_woken() {
        let (sender, mut receiver) = channel(64 * 1024);
        let waiting: Vec<_> = (1..=8)
            .map(|number| {
                let sender = sender.clone();
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    runtime.block_on(async {
                        for _ in 0..200 {
                            std::future::poll_fn(|cx| sender.poll_room(cx, number)).await;
                            sender.put(&mut batch(number, 3000));
                        }
                    });
                })
            })
            .collect();
        drop(sender);
        assert_eq!(std::iter::from_fn(|| receiver.recv()).count(), 8 * 200);
        waiting.into_iter().for_each(|thread| thread.join().unwrap());
    }

    #[test]
    fn whoever_fills_its_share_is_woken_once_half_of_it_is_free() {
        struct Count(AtomicUsize);
        impl std::task::Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let (flood, mut receiver) = channel(1 << 20);
        let mut put = 0;
        while flood.poll_room(&mut Context::from_waker(&waker), 1).is_ready() {
            flood.put(&mut batch(1, 8 * 1024));
            put += 1;
        }
        // A batch counts until the next one is asked for.
        let taken =
            (0..put).take_while(|_| count.0.load(Ordering::SeqCst) == 0 && receiver.try_recv().is_some()).count();
        assert!((put / 2..=put / 2 + 2).contains(&taken), "{taken} of {put}");
        while receiver.try_recv().is_some() {}
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn used_batches_go_round() {
        let (sender, mut receiver) = channel(1 << 20);
        sender.put(&mut batch(1, 1000));
        let used = receiver.try_recv().unwrap();
        receiver.recycle(used);
        sender.put(&mut batch(2, 0));
        assert!(receiver.try_recv().is_some());
        let mut two = batch(3, 1);
        sender.put(&mut two);
        assert!(two.bytes.capacity() >= 1000 && two.bytes.is_empty());
    }

    #[test]
    fn a_batch_with_little_in_much_memory_weighs_little() {
        let (sender, mut receiver) = channel(1 << 20);
        let mut roomy = batch(1, 3);
        roomy.bytes.reserve(200 * 1024);
        sender.put(&mut roomy);
        assert!(roomy.bytes.capacity() > 200 * 1024 && roomy.bytes.is_empty() && roomy.events.is_empty());
        assert!(sender.shared.used.load(Ordering::SeqCst) < 4096);
        assert_eq!(receiver.recv().unwrap().bytes, b"xxx");
    }

    #[test]
    fn without_a_consumer_nothing_blocks() {
        let (sender, receiver) = channel(1);
        sender.put(&mut batch(1, 100));
        assert!(!sender.has_room());
        drop(receiver);
        assert!(sender.has_room());
        sender.put(&mut batch(1, 100));
    }
}
