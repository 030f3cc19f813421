//! The clock of a silence: a timer while somebody owes something, and none at rest. It is not set anew with each byte: when it
//! rings, it looks whether anything moved meanwhile.

use std::future::Future;
use std::pin::pin;
use std::task::Context;

use tokio::time::{Instant, sleep_until};

use super::Pump;
use crate::event::{Batch, Event, Owed, Peer, Time, Wait, What};

impl Pump {
    /// Tells a silence once it has lasted long enough. Nothing moves now.
    pub(super) fn poll_silence(&mut self, cx: &mut Context<'_>) {
        if self.timer.is_none() {
            let next = if self.owed().is_some() { self.waits.after(self.told) } else { None };
            self.timer = next.map(|next| Box::pin(sleep_until(self.moved + next)));
        }
        while self.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready()) {
            self.tell_silence(Instant::now());
            let next = if self.owed().is_some() { self.waits.after(self.told) } else { None };
            match (&mut self.timer, next) {
                (Some(timer), Some(next)) => timer.as_mut().reset(self.moved + next),
                _ => self.timer = None,
            }
        }
    }

    /// Something moves now: what was due to be said before is said first.
    pub(super) fn moves(&mut self, now: Instant) {
        self.tell_silence(now);
        if let Some(timer) = self.timer.as_mut().filter(|_| self.told > 0) {
            timer.as_mut().reset(now + self.waits.first);
        }
        (self.moved, self.told) = (now, 0);
    }

    /// Tells what is owed, once for each threshold that has passed, at its time and not at this one.
    pub(super) fn tell_silence(&mut self, now: Instant) {
        while self.timer.is_some()
            && let Some(due) = self.waits.after(self.told)
            && self.moved + due <= now
        {
            self.told += 1;
            let Some(wait) = self.owed() else { return };
            self.tell_wait(wait, self.moved, self.moved + due);
        }
    }

    /// Lets a silence in which imapscope itself waits for a peer's part of a handshake be told like any other.
    pub(super) async fn watched<T>(&mut self, peer: Peer, work: impl Future<Output = T>) -> T {
        let (begun, mut told, mut work) = (Instant::now(), 0, pin!(work));
        while let Some(due) = self.waits.after(told) {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = sleep_until(begun + due) => told += 1,
            }
            let owed = Owed::Tls { agreed: true };
            self.tell_wait(Wait { by: peer.other(), ours: true, since: Time(0), owed }, begun, begun + due);
        }
        work.await
    }

    fn tell_wait(&mut self, wait: Wait, since: Instant, at: Instant) {
        // What a rule of ours holds back was sent by the other peer, and so was what is not read.
        let from = wait.by.other();
        let wait = Wait { since: self.report.time(since), ..wait };
        let events = vec![Event { from, what: What::Waiting(Box::new(wait)) }];
        self.report.put(&mut Batch { events, ..Batch::default() }, at);
    }

    /// What is owed, as far as this side can tell: bytes that do not leave come before what the session says. While the log
    /// pauses the connection, which it does for a moment only, nobody is waited for.
    fn owed(&self) -> Option<Wait> {
        if self.broken.is_some() || !self.report.has_room() {
            return None;
        }
        for to in [Peer::Client, Peer::Server] {
            let lane = &self.lanes[to.index()];
            let bytes = lane.len() as u64;
            if bytes == 0 {
                continue;
            }
            let (by, owed) = match lane.holder() {
                Some((rule, stalled)) => (to, Owed::Held { bytes, rule: rule.clone(), stalled }),
                None => (to.other(), Owed::Room { bytes }),
            };
            return Some(Wait { by, ours: false, since: Time(0), owed });
        }
        self.session.owed()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Waker;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::super::super::leg::Leg;
    use super::super::super::queue::{Receiver, channel};
    use super::super::super::report::Report;
    use super::super::super::socket::Socket;
    use super::super::super::{Clock, Limits};
    use super::*;
    use crate::grammar::Grammar;
    use crate::rules::{Rules, Source};
    use crate::session::Session;
    use crate::session::silence::Thresholds;

    static SOON: Thresholds = Thresholds {
        first: Duration::from_millis(40),
        second: Duration::from_millis(100),
        each: Duration::from_secs(100),
    };

    struct Scene {
        pump: Pump,
        peers: [DuplexStream; 2],
        log: Receiver,
        started: std::time::Instant,
    }

    impl Scene {
        /// Both peers' pipes hold `room` bytes.
        fn new(room: usize, rule: Option<&str>) -> Scene {
            let (client, ours) = duplex(room);
            let (server, theirs) = duplex(room);
            let legs = [ours, theirs].map(|stream| Leg::plain(Socket::other(Box::new(stream))));
            let (sender, log) = channel(1 << 20);
            let grammar = Grammar::builtin("imap").expect("it is built in");
            let sources: Vec<_> = rule.into_iter().map(|rule| Source::rule(1, rule)).collect();
            let rules = Rules::compile(&sources).expect("a rule");
            let session = Session::new(1, grammar, Arc::new(rules));
            let report = Report::new(sender, 1, Clock::start(), Limits::default().patience);
            let pump = Pump::new(legs, session, report, None, None).telling(&SOON);
            Scene { pump, peers: [client, server], log, started: std::time::Instant::now() }
        }

        fn poll(&mut self) {
            let cx = &mut Context::from_waker(Waker::noop());
            for _ in 0..4 {
                assert!(self.pump.poll(cx).is_pending());
            }
        }

        async fn say(&mut self, from: Peer, line: &str) {
            self.peers[from.index()].write_all(line.as_bytes()).await.expect("there is room");
            self.poll();
            let mut buffer = [0; 4096];
            let to = &mut self.peers[from.other().index()];
            let read = tokio::time::timeout(Duration::from_millis(5), to.read(&mut buffer)).await;
            drop(read);
        }

        /// What was told so far: when, and what.
        fn told(&mut self) -> Vec<(Time, Wait)> {
            let batches = std::iter::from_fn(|| self.log.try_recv());
            let waits = batches.flat_map(|batch| batch.events.into_iter().map(move |event| (batch.at, event.what)));
            let wait = |(at, what)| if let What::Waiting(wait) = what { Some((at, *wait)) } else { None };
            waits.filter_map(wait).collect()
        }
    }

    #[tokio::test]
    async fn at_rest_and_in_idle_there_is_no_timer() {
        let mut scene = Scene::new(4096, None);
        scene.poll();
        assert!(scene.pump.timer.is_some(), "the greeting is owed");
        scene.say(Peer::Server, "* PREAUTH hi\r\n").await;
        for (client, server) in [("a NOOP\r\n", "a OK\r\n"), ("b IDLE\r\n", "+ idling\r\n"), ("DONE\r\n", "b OK\r\n")] {
            scene.say(Peer::Client, client).await;
            assert!(scene.pump.timer.is_some(), "{client}");
            scene.say(Peer::Server, server).await;
            scene.told();
            tokio::time::sleep(SOON.first + Duration::from_millis(10)).await;
            scene.poll();
            assert!(scene.pump.timer.is_none(), "{server}");
            assert!(scene.told().is_empty());
        }
    }

    #[tokio::test]
    async fn a_wait_is_told_at_its_threshold_whenever_that_is_looked_at() {
        for polled in [true, false] {
            let mut scene = Scene::new(4096, None);
            scene.say(Peer::Server, "* PREAUTH hi\r\n").await;
            scene.say(Peer::Client, "a NOOP\r\n").await;
            tokio::time::sleep(SOON.second + Duration::from_millis(30)).await;
            if polled {
                scene.poll();
            } else {
                // Bytes come first, and the timer was not looked at.
                scene.say(Peer::Server, "* 3 EXISTS\r\n").await;
            }
            let told = scene.told();
            let owed = Owed::Reply { frame: 2, behind: 0 };
            let after: Vec<Duration> = told.iter().map(|(at, wait)| at.since(wait.since)).collect();
            assert_eq!(after, [SOON.first, SOON.second], "{polled}");
            assert!(told.iter().all(|(_, wait)| wait.owed == owed && wait.by == Peer::Client));
            let deadline = scene.pump.timer.as_ref().map(|timer| timer.deadline());
            let far = Instant::now() + Duration::from_secs(10);
            assert_eq!(deadline.is_some_and(|at| at > far), polled, "bytes begin another silence");
        }
    }

    #[tokio::test]
    async fn bytes_that_do_not_leave_are_told_first() {
        let mut scene = Scene::new(64, None);
        scene.say(Peer::Server, "* PREAUTH hi\r\n").await;
        scene.say(Peer::Client, "a NOOP\r\n").await;
        scene.peers[1].write_all(&[b'x'; 64]).await.expect("there is room");
        scene.poll();
        scene.peers[1].write_all(&[b'x'; 36]).await.expect("it was read");
        scene.poll();
        scene.told();
        tokio::time::sleep(SOON.first + Duration::from_millis(10)).await;
        scene.poll();
        let told: Vec<(Peer, Owed)> = scene.told().into_iter().map(|(_, wait)| (wait.by, wait.owed)).collect();
        assert_eq!(told, [(Peer::Server, Owed::Room { bytes: 36 })]);
        assert!(scene.started.elapsed() < Duration::from_secs(5));
    }

    #[tokio::test]
    async fn what_a_rule_holds_back_is_nobody_s_fault() {
        for (rule, stalled) in [
            ("stall when command == NOOP && from == server", true),
            ("delay 9s when command == NOOP && from == server", false),
        ] {
            let mut scene = Scene::new(4096, Some(rule));
            scene.say(Peer::Server, "* PREAUTH hi\r\n").await;
            scene.say(Peer::Client, "a NOOP\r\n").await;
            scene.say(Peer::Server, "a OK\r\n").await;
            scene.told();
            tokio::time::sleep(SOON.first + Duration::from_millis(10)).await;
            scene.poll();
            let told: Vec<(Peer, Owed)> = scene.told().into_iter().map(|(_, wait)| (wait.by, wait.owed)).collect();
            assert_eq!(told, [(Peer::Client, Owed::Held { bytes: 6, rule: rule.into(), stalled })]);
        }
    }

    #[tokio::test]
    async fn a_handshake_of_ours_is_watched() {
        let mut scene = Scene::new(4096, None);
        scene.pump.watched(Peer::Server, tokio::time::sleep(SOON.first + Duration::from_millis(10))).await;
        scene.pump.watched(Peer::Client, async {}).await;
        let told = scene.told();
        let (at, wait) = &told[0];
        assert_eq!((told.len(), at.since(wait.since)), (1, SOON.first));
        assert!(wait.ours && wait.by == Peer::Client && wait.owed == Owed::Tls { agreed: true });
    }
}
