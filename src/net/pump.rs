//! The pump of one connection: four guarded arms, a read and a write for each leg. It moves octets between the legs
//! and the session, and reports. Knows sockets, time and sessions; must not know what the octets mean.
//!
//! The arms are polled by hand in one future: whatever can move, moves, and a lane that is stuck stops only the
//! reading that would feed it. So two peers that both only write cannot block us.

mod ahead;
mod gate;
mod give;
mod secure;
mod silence;
mod trouble;

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::ops::Range;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep};

use super::lane::{Desk, Lane, READ, lend};
use super::leg::Leg;
use super::report::Report;
use super::stopped;
use super::tls::broken;
use super::upgrade::Upgrade;
use crate::event::{Batch, Closed, Closer, Peer, What};
use crate::session::silence::Thresholds;
use crate::session::{Outbox, Piece, Session, Trouble, Upgrade as Begins};
use ahead::Ahead;
use gate::{ReadGate, WriteGate};
use secure::Patience;

/// Octets that a session may have answered to a peer that does not read them, before we stop reading from it.
const ANSWERS: usize = 64 * 1024;

/// The first reads are of this many octets at most; while they come full of little to report, each may be twice the
/// one before, up to [`READ`].
const FIRST: usize = 32 * 1024;

/// The smallest reads, in octets: of lanes that are all short lines.
const SMALLEST: usize = 4 * 1024;

/// A read that gives more events than this makes the next one smaller: what one read costs the log stays bounded.
const DENSE: usize = 1024;

/// So many octets are read of a peer that waits for its turn.
const AHEAD: usize = 16 * 1024;

/// How many pieces go into one write.
const PIECES: usize = 32;

/// One connection with both legs open.
#[derive(Debug)]
pub struct Pump {
    legs: [Leg; 2],
    /// What waits to be sent, by receiver.
    lanes: [Lane; 2],
    /// Octets in a lane that are answers to its own peer.
    answers: [usize; 2],
    /// The peer will send no more.
    ended: [bool; 2],
    /// The peer was told that no more will come.
    shut: [bool; 2],
    /// The peer to which nothing can be written any more; what it has sent is still read.
    broken: Option<(Peer, io::ErrorKind)>,
    /// The peer that ended its direction first.
    first: Option<Peer>,
    received: [u64; 2],
    sent: [u64; 2],
    /// What was read and waits.
    ahead: [Ahead; 2],
    /// What waits of the server comes before all that the client says.
    words_first: bool,
    /// What a rule made of the end.
    fate: Option<Trouble>,
    /// TLS that is to begin.
    begins: Option<Begins>,
    upgrade: Option<Upgrade>,
    /// How much to read at once from each peer, in octets.
    width: [usize; 2],
    moved: Instant,
    /// A call of the session was full: other connections come first.
    full: bool,
    alarm: Option<Alarm>,
    /// When a peer of which nothing more is taken is looked at next.
    watch: [Option<Pin<Box<Sleep>>>; 2],
    /// How long the server may take for its next word while we begin TLS with it.
    patience: Option<Box<Patience>>,
    /// When the silence is to be told next. Somebody owes something, or did when this was looked at last.
    timer: Option<Pin<Box<Sleep>>>,
    /// How often this silence was told.
    told: u32,
    /// When a silence is told.
    waits: &'static Thresholds,
    session: Session,
    report: Report,
}

#[derive(Debug)]
struct Alarm {
    limit: Duration,
    sleep: Pin<Box<Sleep>>,
}

/// How a connection came to its end.
#[derive(Debug)]
struct End {
    by: Closer,
    why: Option<String>,
}

impl Pump {
    /// A pump between two legs, `[client, server]`. With `idle`, the connection ends when nothing moved for so long. With
    /// `upgrade`, both can begin TLS in the middle; the session has to know that.
    #[must_use]
    pub fn new(
        legs: [Leg; 2],
        session: Session,
        report: Report,
        idle: Option<Duration>,
        upgrade: Option<Upgrade>,
    ) -> Self {
        Pump {
            legs,
            lanes: Default::default(),
            answers: [0; 2],
            ended: [false; 2],
            shut: [false; 2],
            broken: None,
            first: None,
            received: [0; 2],
            sent: [0; 2],
            ahead: Default::default(),
            words_first: false,
            fate: None,
            begins: None,
            upgrade,
            width: [FIRST; 2],
            moved: Instant::now(),
            full: false,
            alarm: idle.map(|limit| Alarm { limit, sleep: Box::pin(sleep(limit)) }),
            watch: [None, None],
            patience: None,
            timer: None,
            told: 0,
            waits: &Thresholds::USUAL,
            session,
            report,
        }
    }

    /// The same with other times after which a silence is told.
    #[must_use]
    pub const fn telling(mut self, waits: &'static Thresholds) -> Self {
        self.waits = waits;
        self
    }

    /// Relays until the connection is over, and reports its end.
    pub async fn run(mut self: Box<Self>, stop: &mut watch::Receiver<bool>) {
        let interrupted = || End { by: Closer::Ours, why: Some("imapscope ended".into()) };
        let end = loop {
            let ended = tokio::select! {
                biased;
                ended = poll_fn(|cx| self.poll(cx)) => ended,
                () = stopped(stop) => Some(interrupted()),
            };
            if let Some(end) = ended {
                break end;
            }
            // Boxed: what a handshake takes is not carried along by an idle connection.
            let secured = tokio::select! {
                secured = Box::pin(self.secure()) => secured,
                () = stopped(stop) => Err(interrupted()),
            };
            if let Err(end) = secured {
                break end;
            }
        };
        // Boxed, for the same reason.
        Box::pin(self.finish(end, stop)).await;
    }

    /// The end, or nothing when TLS is to begin.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<End>> {
        loop {
            match self.turn(cx) {
                Ok(true) if std::mem::take(&mut self.full) => {
                    // Woken once all other tasks and sockets had their turn.
                    let _ = pin!(yield_now()).poll(cx);
                    return Poll::Pending;
                }
                Ok(true) => {}
                // The client has all that came before.
                Ok(false) if self.begins.is_some() && self.lanes.iter().all(Lane::is_empty) => {
                    return Poll::Ready(None);
                }
                Ok(false) if self.shut == [true; 2] => {
                    let by = Closer::Peer(self.first.unwrap_or(Peer::Client));
                    return Poll::Ready(Some(End { by, why: None }));
                }
                Ok(false) => match self.left_behind() {
                    Some(peer) => return Poll::Ready(Some(End { by: Closer::Peer(peer), why: None })),
                    None => return self.poll_limits(cx).map(Some),
                },
                Err(end) => return Poll::Ready(Some(end)),
            }
        }
    }

    /// Polls all four arms once. Returns true if another turn is due: something moved, or an arm has another gate than when
    /// this turn began. So when no turn is due, each open arm was polled behind the gate that it has, and its socket or
    /// timer will wake the task.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        // First, so that a batch that waits for room is looked after even while a lane is stuck.
        let _ = self.report.poll_room(cx);
        let gates = self.gates();
        let mut moved = false;
        for peer in [Peer::Client, Peer::Server] {
            moved |= self.write(peer, cx)?;
            moved |= self.read(peer, cx)?;
        }
        Ok(moved || self.gates() != gates)
    }

    /// Ready when a limit of time has ended the connection.
    fn poll_limits(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.poll_silence(cx);
        match self.poll_opening(cx) {
            Poll::Pending => self.poll_alarm(cx),
            late => late,
        }
    }

    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let Some(Alarm { limit, sleep }) = &mut self.alarm else { return Poll::Pending };
        while sleep.as_mut().poll(cx).is_ready() {
            let due = self.moved + *limit;
            if due <= Instant::now() {
                let why = format!(
                    "nothing was sent either way for {} s, the idle limit; a longer --idle-timeout would keep it open",
                    limit.as_secs_f64()
                );
                return Poll::Ready(End { by: Closer::Ours, why: Some(why) });
            }
            sleep.as_mut().reset(due);
        }
        Poll::Pending
    }

    /// The write arm to `to`. Returns whether it did something.
    fn write(&mut self, to: Peer, cx: &mut Context<'_>) -> Result<bool, End> {
        let at = to.index();
        let done = match self.write_gate(to) {
            WriteGate::Closed => return Ok(false),
            WriteGate::Faults => return self.write_troubled(to, cx),
            WriteGate::Bytes => {
                self.legs[at].poll_write(cx, &[self.lanes[at].waiting()]).map_ok(|count| self.left(to, count))
            }
            WriteGate::Flush => self.legs[at].poll_flush(cx),
            WriteGate::Shutdown => self.legs[at].poll_shutdown(cx).map_ok(|()| self.shut[at] = true),
        };
        match done {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(())) => Ok(true),
            Poll::Ready(Err(e)) => self.failed(to, &e).map(|()| true),
        }
    }

    /// Accounts for `count` bytes of a lane that were written.
    fn left(&mut self, to: Peer, count: usize) {
        self.lanes[to.index()].sent(count);
        self.sent[to.index()] += count as u64;
        self.moves(Instant::now());
    }

    /// The read arm from `from`. Returns whether it did something.
    fn read(&mut self, from: Peer, cx: &mut Context<'_>) -> Result<bool, End> {
        let at = from.index();
        match self.read_gate(from) {
            ReadGate::Closed => Ok(false),
            ReadGate::LookOut => self.look_out(from, cx),
            ReadGate::LookAhead => self.look_ahead(from, cx),
            ReadGate::Ahead => lend(|desk| {
                let (count, came) = self.ahead[at].take(&mut desk.buffer);
                if self.ahead[at].is_empty() {
                    self.words_first &= from == Peer::Client;
                }
                self.give(from, count, came, desk, cx)
            }),
            ReadGate::Socket => lend(|desk| match self.legs[at].poll_read(cx, &mut desk.buffer[..self.width[at]]) {
                Poll::Ready(Ok(0)) => self.take_end(from, desk, cx),
                Poll::Ready(Ok(count)) => self.take(from, count, desk, cx),
                Poll::Ready(Err(e)) => ended(from, &e, &self.legs[at]).map_or(Ok(true), Err),
                Poll::Pending => Ok(false),
            }),
        }
    }

    fn take_end(&mut self, from: Peer, desk: &mut Desk, cx: &mut Context<'_>) -> Result<bool, End> {
        if let Some((peer, kind)) = self.broken {
            return Err(lost(peer, kind));
        }
        self.tell_silence(Instant::now());
        self.ended[from.index()] = true;
        self.first.get_or_insert(from);
        if self.legs[from.index()].is_abrupt() {
            desk.out.report(from, What::Abrupt);
        }
        self.session.closed(from, &mut desk.out);
        self.deliver(from, &[], Instant::now(), &mut desk.out, cx).1?;
        self.go_on(desk)?;
        Ok(true)
    }

    /// Ends the connection if the session says that it cannot go on.
    fn go_on(&mut self, desk: &mut Desk) -> Result<(), End> {
        let Some(why) = desk.out.failed.take() else { return Ok(()) };
        Err(match self.first {
            // It is not the server's fault then.
            Some(Peer::Client) => End { by: Closer::Peer(Peer::Client), why: None },
            _ => End { by: Closer::Tls(Peer::Server), why: Some(why) },
        })
    }

    /// Sends what the outbox holds, as far as the sockets take it, and reports the events. Returns which of the bytes the
    /// caller must keep for the other peer.
    fn deliver(
        &mut self,
        from: Peer,
        bytes: &[u8],
        at: Instant,
        out: &mut Outbox,
        cx: &mut Context<'_>,
    ) -> (Range<usize>, Result<(), End>) {
        let lane = from.index();
        let (mut rest, mut done) = (0..0, Ok(()));
        match self.send(from.other(), bytes, out, cx) {
            Ok(unsent) => rest = unsent,
            Err(end) => done = Err(end),
        }
        let before = self.lanes[lane].len();
        if before == 0 {
            self.answers[lane] = 0;
        }
        match self.send(from, bytes, out, cx) {
            Ok(unsent) => self.lanes[lane].add(&bytes[unsent]),
            Err(end) => done = Err(end),
        }
        self.answers[lane] += self.lanes[lane].len().saturating_sub(before);
        out.clear();
        self.report.put(&mut out.batch, at);
        (rest, done)
    }

    /// Sends what the outbox holds for `to`. What its socket does not take goes into its lane; but if that is one run
    /// of `bytes`, as it most often is, that is returned instead, to be kept without a copy.
    fn send(&mut self, to: Peer, bytes: &[u8], out: &Outbox, cx: &mut Context<'_>) -> Result<Range<usize>, End> {
        let at = to.index();
        if self.shut[at] || self.broken.is_some_and(|(peer, _)| peer == to) {
            return Ok(0..0);
        }
        if out.is_troubled(to) || !self.lanes[at].is_calm() {
            for piece in out.steps(to, bytes) {
                match piece {
                    Piece::Octets(octets) => self.lanes[at].add(octets),
                    Piece::Fault(fault) => self.lanes[at].mark(fault),
                }
            }
            return Ok(0..0);
        }
        let mut pieces = out.pieces(to, bytes);
        loop {
            let mut run: [&[u8]; PIECES] = [&[]; PIECES];
            let count = run.iter_mut().zip(&mut pieces).map(|(slot, piece)| *slot = piece).count();
            let run = &run[..count];
            let mut sent = 0;
            if self.lanes[at].is_empty() && count > 0 {
                match self.write_run(to, run, cx) {
                    Ok(written) => sent = written,
                    Err(e) => return self.failed(to, &e).map(|()| 0..0),
                }
                if let ([piece], Some(start)) = (run, offset(run[0], bytes)) {
                    return Ok(start + sent..start + piece.len());
                }
            }
            for piece in run {
                let gone = sent.min(piece.len());
                sent -= gone;
                self.lanes[at].add(&piece[gone..]);
            }
            if count < PIECES {
                return Ok(0..0);
            }
        }
    }

    /// Writes a run of pieces until the socket takes no more; says how many octets that were.
    fn write_run(&mut self, to: Peer, run: &[&[u8]], cx: &mut Context<'_>) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); PIECES];
        slices.iter_mut().zip(run).for_each(|(slice, piece)| *slice = IoSlice::new(piece));
        let mut slices = &mut slices[..run.len().min(PIECES)];
        let mut written = 0;
        while slices.iter().any(|slice| !slice.is_empty()) {
            match self.legs[to.index()].poll_write(cx, slices) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    written += count;
                    self.sent[to.index()] += count as u64;
                    IoSlice::advance_slices(&mut slices, count);
                }
                Poll::Ready(Err(e)) if e.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(e)) => return Err(e),
                Poll::Pending => break,
            }
        }
        Ok(written)
    }

    /// Nothing can be written to `peer` any more. What it sent before that is still read and passed on.
    fn failed(&mut self, peer: Peer, error: &io::Error) -> Result<(), End> {
        if error.kind() == io::ErrorKind::Interrupted {
            return Ok(());
        }
        self.lanes[peer.index()].clear();
        if self.ended[peer.index()] || self.broken.is_some() {
            return Err(lost(peer, error.kind()));
        }
        self.broken = Some((peer, error.kind()));
        Ok(())
    }

    /// Reports the end and closes both legs in the way that fits it.
    async fn finish(mut self: Box<Self>, end: End, stop: &mut watch::Receiver<bool>) {
        self.tell_silence(Instant::now());
        let last = lend(|desk| self.say_last(&end, desk));
        let Pump { legs: [client, server], report, fate, .. } = *self;
        match end.by {
            Closer::Ours if fate == Some(Trouble::Reset) => {
                client.reset();
                server.reset();
            }
            Closer::Ours if fate.is_some() => {
                report.end(last, stop).await;
                return trouble::part([client, server], stop).await;
            }
            Closer::Reset(Peer::Client) => server.reset(),
            Closer::Reset(Peer::Server) => client.reset(),
            _ => drop((client, server)),
        }
        report.end(last, stop).await;
    }

    /// One last try to send what waits, then the session's last events.
    fn say_last(&mut self, end: &End, desk: &mut Desk) -> Batch {
        let cx = &mut Context::from_waker(Waker::noop());
        let peer = match end.by {
            Closer::Peer(peer) | Closer::Reset(peer) | Closer::Tls(peer) => peer,
            Closer::Unreachable => Peer::Server,
            Closer::Ours | Closer::Unseen => Peer::Client,
        };
        for to in [Peer::Client, Peer::Server] {
            for rule in self.lanes[to.index()].missed() {
                desk.out.report(to.other(), What::Missed(Arc::clone(rule)));
            }
            if !self.lanes[to.index()].is_empty() {
                // The connection ends anyway: an error changes nothing.
                let _ = self.write(to, cx);
            }
        }
        let closed = Closed {
            by: end.by,
            why: end.why.clone().or_else(|| self.unwelcome(end.by)),
            received: self.received,
            sent: self.sent,
            inflated: [(0, 0); 2],
        };
        self.session.ended(peer, closed, &mut desk.out);
        for to in [Peer::Client, Peer::Server] {
            let _ = self.send(to, &[], &desk.out, cx);
        }
        if end.by == Closer::Ours && self.fate != Some(Trouble::Reset) {
            // Under TLS an end is to be told from a cut; whoever does not take it now is not waited for.
            for leg in &mut self.legs {
                let _ = leg.poll_shutdown(cx);
            }
        }
        desk.out.clear();
        std::mem::take(&mut desk.out.batch)
    }
}

/// The end of a connection by an error of reading, if it is one.
fn ended(from: Peer, error: &io::Error, leg: &Leg) -> Option<End> {
    let end = lost(from, error.kind());
    let why = || broken(from, error, leg.has_asked()).or(end.why);
    (error.kind() != io::ErrorKind::Interrupted).then(|| End { by: end.by, why: why() })
}

/// The end of a connection by an error on the leg to `peer`.
fn lost(peer: Peer, kind: io::ErrorKind) -> End {
    let why = match kind {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => None,
        other => Some(format!("the connection to the {} failed: {other}", peer.word())),
    };
    End { by: Closer::Reset(peer), why }
}

/// How much to read after a call that took `taken` of `count` bytes, read with a limit of `width`, and gave `events` events.
fn next_width(width: usize, taken: usize, count: usize, events: usize) -> usize {
    if taken < count {
        // A full call shows how many bytes are enough for one.
        taken.clamp(SMALLEST, READ)
    } else if events > DENSE {
        (width / 4).max(SMALLEST)
    } else if count == width && events <= DENSE / 4 {
        (width * 2).min(READ)
    } else {
        width
    }
}

/// Where `piece` begins in `bytes`, if it is a part of it.
fn offset(piece: &[u8], bytes: &[u8]) -> Option<usize> {
    let start = (piece.as_ptr() as usize).checked_sub(bytes.as_ptr() as usize)?;
    (start + piece.len() <= bytes.len()).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_grow_with_data_and_shrink_with_short_lines() {
        let mut width = FIRST;
        for _ in 0..10 {
            width = next_width(width, width, width, 1);
        }
        assert_eq!(width, READ);
        assert_eq!(next_width(READ, READ, READ, READ / 800), READ, "ordinary lines are no reason to read less");
        for _ in 0..10 {
            width = next_width(width, width, width, width / 2);
        }
        assert_eq!(width, SMALLEST);
        assert_eq!(next_width(FIRST, 100, 100, 1), FIRST, "small talk changes nothing");
        assert_eq!(next_width(READ, READ / 3, READ, 1), READ / 3, "what one call takes is read for one");
        assert_eq!(next_width(READ, 0, READ, 1), SMALLEST);
    }

    #[test]
    fn a_piece_is_found_in_its_buffer_only() {
        let (buffer, other) = (vec![0; 100], vec![0; 100]);
        assert_eq!(offset(&buffer[10..20], &buffer), Some(10));
        assert_eq!(offset(&buffer[10..20], &buffer[..15]), None);
        assert_eq!(offset(&buffer[10..20], &buffer[15..]), None);
        assert_eq!(offset(&other[10..20], &buffer), None);
    }
}
