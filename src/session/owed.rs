//! Who owes what to whom, now that nothing moves: a look at the state, which costs the same however much was said. What frees
//! the other peer is named where both owe something: the rest of a literal or of a line before the reply to it. Of what cannot be
//! read, or may be missing, nothing is said; a client that does nothing between two commands, or in IDLE, owes nothing.

use super::Session;
use super::lane::{Fate, Lane, Wait as Undecided};
use super::secret::Mask;
use crate::event::{DataKind, Kind, Line, Owed, Peer, State, Time, Wait};
use crate::grammar::Command;
use crate::wire::{self, Expect};

impl Session {
    /// What is owed. The time since when is the driver's to fill in.
    #[must_use]
    pub fn owed(&self) -> Option<Wait> {
        let [client, server] = &self.lanes;
        // What follows an announcement may be left out by the log that is read.
        let left_out = || self.is_left_out(Peer::Client) || self.is_left_out(Peer::Server);
        if self.sight.blind || self.unsure || left_out() {
            return None;
        }
        if let Some(wait) = self.owed_tls() {
            return wait;
        }
        if client.strange.is_some() || is_opaque(client) || is_opaque(server) {
            return None;
        }
        let incomplete = |peer| self.incomplete(peer).map(|owed| self.waits_for(peer, owed));
        // The beginning of another command keeps nobody from answering the one before.
        let another = client.frame.is_none() && client.block.is_none();
        let before = || self.unanswered().filter(|wait| another && wait.by == Peer::Client);
        let incomplete_client = || before().or_else(|| incomplete(Peer::Client));
        incomplete(Peer::Server).or_else(incomplete_client).or_else(|| self.unanswered())
    }

    /// A wait of the peer that this one owes something. imapscope waits in its place for what the peer does not get.
    fn waits_for(&self, from: Peer, owed: Owed) -> Wait {
        let lane = &self.lanes[from.index()];
        let away = (lane.frame.is_some() || lane.block.is_some()) && lane.fate != Fate::Sent;
        let opening = from == Peer::Server && self.tls.is_opening();
        Wait { by: from.other(), ours: away || opening, since: Time(0), owed }
    }

    /// A TLS handshake that is due: agreed to, or begun by the client alone. `Some(None)`: nothing else can be owed.
    fn owed_tls(&self) -> Option<Option<Wait>> {
        let [client, server] = &self.lanes;
        let tls = |from, agreed| Some(Some(self.waits_for(from, Owed::Tls { agreed })));
        if self.tls.is_agreed() {
            return tls(Peer::Client, true);
        }
        let hello = client.block.as_ref().filter(|block| block.hello.is_some());
        // Of a client that went on in plain text nothing is read: what comes next is the beginning.
        let due = client.due || hello.is_some_and(|block| block.len == 0 && self.state == State::Opaque);
        match (due && !client.finished, hello.is_some(), is_opaque(server)) {
            (true, _, _) => tls(Peer::Client, true),
            (_, true, false) if !server.finished => tls(Peer::Server, server.due),
            (_, true, _) => Some(None),
            _ => None,
        }
    }

    /// What is missing of something that this peer has begun.
    fn incomplete(&self, from: Peer) -> Option<Owed> {
        let lane = &self.lanes[from.index()];
        if lane.finished {
            return None;
        }
        let packed = lane.deflate.as_deref().map_or(0, super::Deflate::waiting) as u64;
        if packed > 0 {
            return Some(Owed::Block { came: packed });
        }
        let block = lane.block.as_deref();
        let (data, came) = block.map_or((DataKind::Rest, 0), |block| (block.kind, block.len));
        match lane.framer.expected() {
            Expect::Octets(left) => Some(Owed::Bytes { data, left }),
            Expect::Dot(_) => Some(Owed::Dot { data, came }),
            Expect::Overlong => {
                let came = block.is_some_and(|block| !block.secret).then_some(came);
                Some(Owed::LineEnd { line: Line::Text, came, verb: None })
            }
            Expect::Opaque => None,
            Expect::Line => self.incomplete_line(from),
        }
    }

    fn incomplete_line(&self, from: Peer) -> Option<Owed> {
        let lane = &self.lanes[from.index()];
        let held = lane.framer.held();
        // Empty lines may be the beginning of a PROXY header, and are whole lines all the same.
        let start =
            |lane: &Lane| matches!(lane.wait, Some((Undecided::Start, _))) && !lane.undecided.bytes().ends_with(b"\n");
        let undecided = if start(lane) { lane.undecided.len() } else { 0 };
        let came = (held.len() + undecided) as u64;
        // What waits for the server's answer is no beginning of a line yet.
        if came == 0 && (lane.frame.is_none() || lane.wait.is_some()) {
            return None;
        }
        if lane.framer.is_amid_lines() {
            return Some(Owed::LastLine { came });
        }
        let line = match (lane.frame, lane.sasl) {
            (Some(_), _) => Line::Rest,
            (None, Some(_)) => Line::Response,
            (None, None) => Line::Text,
        };
        let known = if line == Line::Text { self.known(from, held) } else { None };
        let verb = known.filter(|(_, bare)| *bare).map(|(known, _)| known.name.as_str().into());
        Some(Owed::LineEnd { line, came: Some(came).filter(|_| !self.may_be_secret(from, known)), verb })
    }

    /// The command that an incomplete line of the client's begins with, and whether that is all of it but for its line end.
    fn known(&self, from: Peer, held: &[u8]) -> Option<(&Command, bool)> {
        if from == Peer::Server {
            return None;
        }
        let line = held.strip_suffix(b"\r").unwrap_or(held);
        match wire::read(self.grammar.form, from, line).kind {
            Kind::Command { verb, arguments, .. } => {
                let bare = arguments.is_empty() && verb.end as usize == line.len();
                self.grammar.commands.exact(verb.of(line)).map(|known| (known, bare))
            }
            _ => None,
        }
    }

    /// Returns true if the length of an incomplete line may be that of a secret. `known`: what it begins with, and whether that is
    /// all of it.
    fn may_be_secret(&self, from: Peer, known: Option<(&Command, bool)>) -> bool {
        let lane = &self.lanes[from.index()];
        match (from, lane.frame, known) {
            (Peer::Server, ..) => false,
            _ if lane.sasl.is_some() => true,
            (_, Some(frame), _) => frame.mask != Mask::Nothing || frame.hide_data,
            (_, None, Some((known, bare))) => !bare && known.secret.is_some(),
            (_, None, None) => true,
        }
    }

    /// What the server has not said, or the client, whose turn it is.
    fn unanswered(&self) -> Option<Wait> {
        let [client, server] = &self.lanes;
        if server.finished {
            return None;
        }
        if self.state == State::Greeting {
            return Some(self.waits_for(Peer::Server, Owed::Greeting));
        }
        if let Some(frame) = client.sasl {
            return (!client.finished).then(|| self.waits_for(Peer::Client, Owed::Response { frame }));
        }
        let oldest = self.dialogue.oldest_due()?;
        let frame = oldest.frame;
        // Whoever said that it is about to close owes a reply to LOGOUT at the most; and what is ours to say is said when it can be.
        let over = self.state == State::Logout && oldest.on_ok != Some(State::Logout);
        if over || oldest.ours.is_some() || self.tls.is_ours(frame) {
            return None;
        }
        if self.dialogue.idle() == Some(frame) && self.dialogue.asks(frame).is_none() {
            let more = !client.finished && self.dialogue.newest().is_some_and(|newest| newest > frame);
            return more.then(|| self.waits_for(Peer::Client, Owed::Done { frame }));
        }
        let owed = match self.dialogue.asks(frame) {
            Some(ask) => Owed::Continuation { frame, ask },
            None => Owed::Reply { frame, behind: self.dialogue.behind_oldest() },
        };
        let ours = oldest.inserted || self.tls.is_opening();
        Some(Wait { ours, ..self.waits_for(Peer::Server, owed) })
    }
}

/// Returns true if nothing on this lane can be read.
fn is_opaque(lane: &Lane) -> bool {
    lane.framer.expected() == Expect::Opaque || lane.strange.is_some()
}
