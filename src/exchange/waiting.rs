//! The commands that wait for their last reply, in the order of their frames. Bounded as a session's are, and in the same way, so
//! that both know the same ones.

use std::collections::VecDeque;

use super::command::{Disposition, Exchange};

/// Maximum number of refused commands kept where tags tell answers apart: a session lets fewer wait.
const MAX_REFUSED: usize = 128;

/// Maximum number of commands kept where tags tell them apart, which have to be searched for; of more, the oldest are forgotten.
pub const MAX_TAGGED: usize = 1024;

/// Maximum number of commands kept where replies come in the order of commands; of more, all but the newest are forgotten.
pub const MAX_QUEUED: usize = 4096;

/// The commands that wait.
#[derive(Debug, Default)]
pub struct Waiting {
    kept: VecDeque<Box<Exchange>>,
    /// Number of commands that wait after those that are kept; the last of them is kept too.
    beyond: u64,
    latest: Option<Box<Exchange>>,
    /// Commands with tags that imapscope answers: the server's replies are to none of them.
    refused: VecDeque<Box<Exchange>>,
}

impl Waiting {
    /// A command that its tag finds again was sent. Returns the one that is forgotten for it.
    pub fn tagged(&mut self, exchange: Box<Exchange>) -> Option<Box<Exchange>> {
        if exchange.disposition == Disposition::Refuse {
            let lost = if self.refused.len() == MAX_REFUSED { self.refused.pop_front() } else { None };
            self.refused.push_back(exchange);
            return lost;
        }
        let lost = if self.kept.len() == MAX_TAGGED { self.kept.pop_front() } else { None };
        self.push(exchange);
        lost
    }

    /// A command whose reply comes in its turn was sent. Returns one that is forgotten for it.
    pub fn queued(&mut self, exchange: Box<Exchange>) -> Option<Box<Exchange>> {
        if self.beyond == 0 && self.kept.len() < MAX_QUEUED {
            self.push(exchange);
            return None;
        }
        self.beyond += 1;
        self.latest.replace(exchange)
    }

    fn push(&mut self, exchange: Box<Exchange>) {
        if self.kept.capacity() == 0 {
            // Most clients wait for the answer before they send the next.
            self.kept.reserve_exact(1);
        }
        self.kept.push_back(exchange);
    }

    /// A reply came that answers no command that is kept: it may be that of one which is not.
    pub fn spare(&mut self) {
        if self.kept.is_empty() && self.beyond > 0 {
            self.beyond -= 1;
            self.catch_up();
        }
    }

    /// Once all before it are answered, the last command that was sent takes its place again.
    fn catch_up(&mut self) {
        if self.kept.is_empty() && self.beyond == 1 {
            self.beyond = 0;
            self.kept.extend(self.latest.take());
        }
    }

    fn find(&self, frame: u64) -> Option<usize> {
        // Most often it is the oldest one.
        if self.kept.front()?.frame == frame {
            return Some(0);
        }
        self.kept.binary_search_by_key(&frame, |exchange| exchange.frame).ok()
    }

    /// The command of this frame.
    #[must_use]
    pub fn get(&self, frame: u64) -> Option<&Exchange> {
        let mut others = self.latest.iter().chain(&self.refused);
        self.find(frame).map(|at| &*self.kept[at]).or_else(|| others.find(|other| other.frame == frame).map(|it| &**it))
    }

    /// The command of this frame.
    pub fn get_mut(&mut self, frame: u64) -> Option<&mut Exchange> {
        match self.find(frame) {
            Some(at) => self.kept.get_mut(at).map(|it| &mut **it),
            None => {
                let mut others = self.latest.iter_mut().chain(&mut self.refused);
                others.find(|other| other.frame == frame).map(|it| &mut **it)
            }
        }
    }

    /// The command of this frame waits no more.
    pub fn take(&mut self, frame: u64) -> Option<Box<Exchange>> {
        let Some(at) = self.find(frame) else {
            let at = self.refused.iter().position(|refused| refused.frame == frame)?;
            return self.refused.remove(at);
        };
        let exchange = self.kept.remove(at);
        self.catch_up();
        exchange
    }

    /// The oldest command, if the server has it.
    #[must_use]
    pub fn oldest(&self) -> Option<&Exchange> {
        self.kept.front().map(|it| &**it).filter(|oldest| oldest.disposition == Disposition::Forward)
    }

    /// The commands that the server has, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Exchange> {
        let forward = |exchange: &&Exchange| exchange.disposition == Disposition::Forward;
        self.kept.iter().chain(&self.latest).map(|it| &**it).filter(forward)
    }

    /// All commands that are kept: those of [`Waiting::iter`], and those that imapscope answers.
    pub fn all(&self) -> impl Iterator<Item = &Exchange> {
        self.kept.iter().chain(&self.latest).chain(&self.refused).map(|it| &**it)
    }

    /// All commands that are kept; see [`Waiting::all`].
    pub fn all_mut(&mut self) -> impl Iterator<Item = &mut Exchange> {
        self.kept.iter_mut().chain(&mut self.latest).chain(&mut self.refused).map(|it| &mut **it)
    }

    /// Returns true if no command waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.beyond == 0 && self.refused.is_empty()
    }

    /// Nothing is known any more of what waits.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(frame: u64) -> Box<Exchange> {
        Box::new(Exchange { frame, ..Exchange::default() })
    }

    #[test]
    fn what_is_too_much_in_a_queue_is_forgotten_but_for_the_last() {
        let mut waiting = Waiting::default();
        let most = MAX_QUEUED as u64;
        let lost: Vec<u64> =
            (0..most + 10).filter_map(|frame| waiting.queued(exchange(frame))).map(|it| it.frame).collect();
        assert_eq!(lost, (most..most + 9).collect::<Vec<_>>());
        assert!(waiting.get(most + 9).is_some() && waiting.get(most).is_none());
        for frame in 0..most {
            assert_eq!(waiting.take(frame).map(|it| it.frame), Some(frame));
        }
        assert!(waiting.oldest().is_none() && !waiting.is_empty());
        (0..9).for_each(|_| waiting.spare());
        assert_eq!(waiting.oldest().map(|it| it.frame), Some(most + 9));
        assert!(waiting.take(most + 9).is_some() && waiting.is_empty());
    }

    #[test]
    fn of_too_many_with_tags_the_oldest_are_forgotten() {
        let mut waiting = Waiting::default();
        let lost = (0..MAX_TAGGED as u64 + 2).filter_map(|frame| waiting.tagged(exchange(frame))).map(|it| it.frame);
        assert_eq!(lost.collect::<Vec<_>>(), [0, 1]);
        assert_eq!(waiting.iter().count(), MAX_TAGGED);
        assert!(waiting.take(500).is_some() && waiting.get(500).is_none() && waiting.get(501).is_some());
    }
}
