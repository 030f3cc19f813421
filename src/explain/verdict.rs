//! The verdict: what a connection comes to, in one sentence. A peer is at fault only for what a check has found, or for ending a
//! connection in which it owed an answer; everything else is said of what happened, and accuses nobody.

use std::time::Duration;

use super::Explainer;
use super::outcome::{Found, Reason, Refusal, ends_session};
use crate::check::session::CLOSED_WITHOUT_ANSWER;
use crate::check::tls::CHANNEL_BINDING;
use crate::event::{Cause, Closed, Closer, Culprit, Peer, State, Suspect, Time, Verdict, VerdictKind};
use crate::exchange::Exchange;
use crate::exchange::capability::word;
use crate::grammar::Then;
use crate::wording::{amount, duration};

/// After so much silence a peer is waited for, and has not only been cut off.
const PATIENCE: Duration = Duration::from_secs(5);

/// Maximum number of capabilities that are suspected.
const MAX_SUSPECTS: usize = 5;

/// What is owed when a connection ends.
struct Owed {
    /// Who waits.
    by: Peer,
    /// For what.
    what: String,
    /// The frame of the command.
    command: u64,
}

impl Explainer {
    /// What it comes to.
    pub(super) fn verdict(&mut self, closed: &Closed, at: Time) -> Verdict {
        let mut causes = std::mem::take(&mut self.outcome.causes);
        if causes.iter().all(|found| found.cause.culprit == Culprit::None) {
            // After a mistake it would be a consequence.
            causes.extend(self.unanswered(closed, at));
        }
        let refused = [self.outcome.refusal.take(), self.outcome.farewell.take()];
        let mut refused: Vec<Refusal> = refused.into_iter().flatten().map(|refused| *refused).collect();
        refused.sort_by_key(|refused| refused.cause.frame);
        let guilty = causes.iter().position(|found| found.cause.culprit != Culprit::None);
        let owed = self.owed();
        let waited = self.waited(closed, owed.as_ref(), at);
        let (mut verdict, command) = if let Some(first) = guilty {
            let Found { cause, command } = causes.remove(first);
            // Of a finding before any command, what was in use at the end may be what went wrong by it.
            (at_fault(cause), if command == 0 { self.outcome.command } else { command })
        } else if let Some(why) = unreachable(closed) {
            (Verdict { kind: VerdictKind::Refused, text: why, ..Verdict::default() }, 0)
        } else if !refused.is_empty() {
            let first = refused.remove(0);
            // A login that binds to TLS cannot pass imapscope: that is why.
            let bound = causes.iter().position(|found| found.cause.check == CHANNEL_BINDING.id).filter(|_| first.login);
            let bound = bound.map(|at| causes.remove(at).cause);
            // No capability is to blame for a limit, nor for a password.
            let command = if first.login || first.reason == Reason::Limit { 0 } else { first.command };
            (self::refused(first, bound), command)
        } else if let Some(text) = waited {
            let command = owed.map_or(self.outcome.command, |owed| owed.command);
            (Verdict { kind: VerdictKind::Waiting, text, ..Verdict::default() }, command)
        } else {
            (self.unblamed(closed, owed.as_ref()), self.outcome.command)
        };
        verdict.others = causes.into_iter().map(|found| found.cause).collect();
        verdict.others.extend(refused.into_iter().map(|refused| refused.cause));
        verdict.more = self.outcome.more;
        if verdict.kind != VerdictKind::None && command > 0 {
            verdict.suspects = self.suspects(command);
        }
        verdict
    }

    /// A server that closes the connection while it owes a reply has not said why.
    fn unanswered(&self, closed: &Closed, at: Time) -> Option<Found> {
        let by_server = matches!(closed.by, Closer::Peer(Peer::Server) | Closer::Reset(Peer::Server));
        let said = self.outcome.farewell.is_some() || self.outcome.refusal.is_some() || self.outcome.goodbye;
        let said = said || self.outcome.ended == Some(Peer::Client);
        if !by_server || said || !self.is_certain() || self.outcome.cut.is_some() || self.client_owes() {
            return None;
        }
        let ended = self.outcome.ended == Some(Peer::Server);
        let latest = if ended { self.outcome.last_owed } else { u64::MAX };
        let exchange = self.oldest().filter(|exchange| exchange.frame <= latest)?;
        let text = format!("the server closed the connection without answering {}", self.command_name(exchange));
        let cause =
            Cause { check: CLOSED_WITHOUT_ANSWER.id, culprit: Culprit::Server, frame: 0, at, text, ..Cause::default() };
        Some(Found { cause, command: exchange.frame })
    }

    /// Returns true if nothing is missing that a conclusion could rest on.
    pub(super) fn is_certain(&self) -> bool {
        let missing = &self.connection.missing;
        !missing.unsure && missing.events == 0 && missing.holes == [(0, 0); 2] && self.connection.state != State::Opaque
    }

    /// The oldest command whose reply is due: not one that goes on until the client ends it, nor a goodbye.
    fn oldest(&self) -> Option<&Exchange> {
        let due = |exchange: &&Exchange| {
            let idles = exchange.then == Some(Then::Idle) && exchange.granted;
            !ends_session(exchange) && !exchange.ours && !idles
        };
        self.connection.waiting.iter().find(due)
    }

    /// Returns true if the last word asks the client to go on, in a command that is not over.
    pub(super) fn client_owes(&self) -> bool {
        let asks = self.outcome.last.as_ref().and_then(|last| last.asks);
        let waits = asks.and_then(|frame| self.connection.waiting.get(frame));
        waits.is_some_and(|exchange| exchange.then != Some(Then::Idle))
    }

    /// Who waited in vain when the connection ended. A client that ends it while the server waits has stopped, and is not waited for.
    fn waited(&self, closed: &Closed, owed: Option<&Owed>, at: Time) -> Option<String> {
        if !self.is_certain() {
            return None;
        }
        let stops = matches!(closed.by, Closer::Peer(Peer::Client) | Closer::Reset(Peer::Client));
        let (by, what, since) = if let Some(waited) = &self.outcome.waited {
            let by = if waited.ours { "imapscope".to_owned() } else { format!("the {}", waited.by.word()) };
            let counts = !stops || waited.ours || waited.held || waited.by == Peer::Client;
            (Some(by).filter(|_| counts)?, &waited.what, waited.since)
        } else {
            // Of old recordings, and of files without waits. When the last bytes of what was cut off came is not known there.
            let owed = owed.filter(|owed| self.outcome.cut.is_none() && (!stops || owed.by == Peer::Client))?;
            let since = self.outcome.last.as_ref().map_or(self.connection.began, |last| last.at);
            (format!("the {}", owed.by.word()), &owed.what, since)
        };
        let silence = at.since(since);
        let text = || format!("waiting: {by} for {what}, since {}; then {}", duration(silence), end(closed));
        (silence >= PATIENCE).then(text)
    }

    /// What is owed.
    fn owed(&self) -> Option<Owed> {
        if !self.is_certain() || self.outcome.goodbye {
            return None;
        }
        let command = self.outcome.command;
        if let Some(cut) = self.outcome.cut {
            let whose = cut.from.word();
            let what = match cut.missing {
                Some(missing) => format!("{} of the {whose}'s literal", amount(missing, "byte")),
                None if cut.line => format!("the end of the {whose}'s line"),
                None => format!("the end of the {whose}'s data"),
            };
            return Some(Owed { by: cut.from.other(), what, command });
        }
        if self.client_owes() {
            let last = self.outcome.last.as_ref()?.words();
            return Some(Owed { by: Peer::Server, what: format!("the client's answer to {last}"), command });
        }
        if let Some(exchange) = self.oldest() {
            let what = format!("the server's reply to {}", self.command_name(exchange));
            return Some(Owed { by: Peer::Client, what, command: exchange.frame });
        }
        let silent = self.connection.state == State::Greeting && self.outcome.last.is_none() && self.replies;
        let greeting = || "the server's greeting".to_owned();
        silent.then(|| Owed { by: Peer::Client, what: greeting(), command })
    }

    /// Nothing is wrong in what was said: who went no further?
    fn unblamed(&self, closed: &Closed, owed: Option<&Owed>) -> Verdict {
        let verdict = |kind, text| Verdict { kind, text, ..Verdict::default() };
        let none = |text: String| verdict(VerdictKind::None, text);
        if self.outcome.goodbye {
            return none("no problems found".to_owned());
        }
        if !self.is_certain() {
            return none("no problems found in what could be read".to_owned());
        }
        let last = self.outcome.last.as_ref();
        let after = last.map_or_else(String::new, |last| format!(" after {}", last.words()));
        match closed.by {
            Closer::Peer(Peer::Client) | Closer::Reset(Peer::Client) => match self.stopped(owed) {
                Some(text) => verdict(VerdictKind::Stopped, text),
                None => none("no problems found".to_owned()),
            },
            Closer::Peer(Peer::Server) | Closer::Reset(Peer::Server) if last.is_none() => verdict(
                VerdictKind::Refused,
                "refused by policy: the server closed the connection without a greeting".to_owned(),
            ),
            Closer::Peer(Peer::Server) | Closer::Reset(Peer::Server) => {
                none(format!("no problems found; the server closed the connection{after}"))
            }
            Closer::Unseen => none(match owed {
                Some(owed) => {
                    format!("no problems found; the file ends while the {} waits for {}", owed.by.word(), owed.what)
                }
                None => format!("no problems found; the file ends{after}"),
            }),
            _ => none(match owed {
                Some(owed) => {
                    format!("no problems found; it ended while the {} waited for {}", owed.by.word(), owed.what)
                }
                None => "no problems found".to_owned(),
            }),
        }
    }

    /// How the client ended the connection without a goodbye; `None` in protocols without one, with nothing left to do.
    fn stopped(&self, owed: Option<&Owed>) -> Option<String> {
        let Some(last) = &self.outcome.last else {
            return Some("legal so far; the client closed before the server's greeting".to_owned());
        };
        let how = match owed {
            Some(Owed { by: Peer::Client, what, .. }) => format!(", without waiting for {what}"),
            Some(_) => ", without answering it".to_owned(),
            None if last.from == Peer::Client => ", without waiting for an answer".to_owned(),
            None if self.connection.state == State::Greeting => ", without answering it".to_owned(),
            None if !self.is_at_rest() => " and went no further".to_owned(),
            None => {
                let (last, goodbye) = (last.words(), self.goodbye_name()?);
                return Some(format!(
                    "no problems found: legal so far; the client stopped after {last}, without {goodbye}"
                ));
            }
        };
        Some(format!("legal so far; the client stopped after {}{how}", last.words()))
    }

    /// Returns true in a session that is under way, with nothing to do for the client.
    fn is_at_rest(&self) -> bool {
        let last = self.outcome.last.as_ref();
        let sent = last.is_some_and(|last| last.message);
        match last.and_then(|last| last.reached).unwrap_or(self.connection.state) {
            State::Authenticated | State::Selected | State::Transaction | State::Open | State::Update => true,
            State::Ready => sent,
            _ => false,
        }
    }

    /// The command that ends a session in this protocol.
    fn goodbye_name(&self) -> Option<&str> {
        let ends = |state| matches!(state, Some(State::Logout | State::Update));
        self.grammar.commands.iter().find(|command| ends(command.on_ok)).map(|command| command.name.as_str())
    }

    /// The capabilities in use, the most suspect first: what the command of this frame uses, then what was used last.
    fn suspects(&self, command: u64) -> Vec<Suspect> {
        let offers = &self.connection.offers;
        let login = |name: &str| {
            let head = name.split('=').next().unwrap_or_default();
            ["AUTH", "SASL", "USER"].iter().any(|it| it.eq_ignore_ascii_case(head))
        };
        // A name that was never listed comes from a command, and may be anything.
        let plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-+=./_".contains(&byte));
        let base =
            |name: &str| ["IMAP4rev1", "IMAP4", "STARTTLS", "STLS"].iter().any(|it| it.eq_ignore_ascii_case(name));
        let all = offers.uses.suspects(command).into_iter();
        let fit = all.filter(|(name, _, just)| plain(name) && !base(name) && (*just || !login(name)));
        let suspect = |(name, by, _): (&str, &str, bool)| {
            let (server, client) = offers.sides();
            let both = server.iter().chain(client.iter()).map(word);
            let mut dropped = vec![name];
            let rest = both.filter(|other| plain(other) && !other.eq_ignore_ascii_case("IMAP4rev2"));
            for other in rest.filter(|other| self.grammar.covers(other, name)) {
                if !dropped.iter().any(|it| it.eq_ignore_ascii_case(other)) {
                    dropped.push(other);
                }
            }
            Suspect { name: name.to_owned(), by: by.to_owned(), try_it: format!("--drop-cap {}", dropped.join(",")) }
        };
        fit.take(MAX_SUSPECTS).map(suspect).collect()
    }
}

/// The verdict on a peer that broke a rule.
fn at_fault(cause: Cause) -> Verdict {
    let kind = if cause.culprit == Culprit::Client { VerdictKind::Client } else { VerdictKind::Server };
    let who = match cause.culprit {
        Culprit::Path => "something in between",
        Culprit::Both => "both peers",
        _ => kind.word(),
    };
    let text = format!("{who} at fault: {}", cause.text);
    Verdict { kind, text, cause, ..Verdict::default() }
}

/// The verdict on what was refused; `bound` if imapscope itself is the reason.
fn refused(refusal: Refusal, bound: Option<Cause>) -> Verdict {
    let cause = refusal.cause;
    let (kind, why) = match refusal.reason {
        Reason::Limit | Reason::LimitInWords => (VerdictKind::Limit, "a limit"),
        Reason::Policy => (VerdictKind::Refused, "refused by policy"),
        Reason::Other => (VerdictKind::Refused, "refused"),
    };
    match bound {
        Some(bound) => Verdict { kind, text: format!("refused: {}", bound.text), cause: bound, ..Verdict::default() },
        None => {
            Verdict { kind, text: format!("{why}: {} with {}", cause.text, cause.line), cause, ..Verdict::default() }
        }
    }
}

/// Why there was no connection; `None` if there was one.
fn unreachable(closed: &Closed) -> Option<String> {
    let what = match closed.by {
        Closer::Unreachable => "the server could not be reached".to_owned(),
        Closer::Tls(peer) => format!("no TLS with the {}", peer.word()),
        _ => return None,
    };
    Some(match &closed.why {
        Some(why) => format!("refused: {what}: {why}"),
        None => format!("refused: {what}"),
    })
}

/// Who ended a connection.
const fn end(closed: &Closed) -> &'static str {
    match closed.by {
        Closer::Peer(Peer::Client) => "the client closed",
        Closer::Peer(Peer::Server) => "the server closed",
        Closer::Reset(Peer::Client) => "the client reset the connection",
        Closer::Reset(Peer::Server) => "the server reset the connection",
        Closer::Unseen => "the file ends",
        Closer::Unreachable | Closer::Tls(_) | Closer::Ours => "imapscope ended the connection",
    }
}
