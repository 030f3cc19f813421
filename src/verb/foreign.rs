//! What other programs have recorded, on its way to the explainer: the sessions of a live connection, fed from a file.

use std::collections::HashMap;
use std::sync::Arc;

use super::desk::named;
use crate::event::{Batch, Closed, Closer, Opened, Peer, RouteName, Time, TlsFacts, Verdict, What};
use crate::foreign::Piece;
use crate::grammar::Grammar;
use crate::rules::Rules;
use crate::session::{Outbox, Session};

/// So many connections may be open at a time; what comes of others is passed over.
const MAX_OPEN: usize = 65_536;

/// The connections of a file.
pub struct Passages {
    grammars: Vec<Arc<Grammar>>,
    open: HashMap<u64, Passage>,
    last: Time,
}

struct Passage {
    session: Session,
    received: [u64; 2],
    /// The server has consented to TLS.
    consented: bool,
    /// TLS has begun: it is told once.
    secured: bool,
}

impl Passage {
    /// TLS has begun, as the file says, or as what follows a consent shows. What is said in it follows.
    fn secure(&mut self, version: String, suite: String, out: &mut Outbox) {
        if std::mem::take(&mut self.consented) {
            self.session.secured();
        }
        if !std::mem::replace(&mut self.secured, true) {
            let facts = TlsFacts { version, suite, verdict: Verdict::Untold, ..TlsFacts::default() };
            out.report(Peer::Server, What::Tls(Box::new(facts.clone())));
            out.report(Peer::Client, What::Tls(Box::new(facts)));
        }
    }
}

/// What comes of a piece.
pub enum Came {
    /// Events to explain.
    Events(Batch),
    /// Something to tell, and whether anything is damaged or passed over.
    Told(String, bool),
}

impl Passages {
    /// None so far.
    #[must_use]
    pub fn new(grammars: Vec<Arc<Grammar>>) -> Self {
        Passages { grammars, open: HashMap::new(), last: Time(0) }
    }

    /// Takes a piece, and says what comes of it.
    pub fn take(&mut self, piece: Piece, came: &mut dyn FnMut(Came)) {
        self.last = self.last.max(piece.at());
        match piece {
            Piece::Opened { connection, at, protocol, client, server, inside } => {
                self.begin(connection, at, protocol.as_deref(), (client, server), inside, came);
            }
            Piece::Octets { connection, at, from, bytes } => {
                let Some(passage) = self.open.get_mut(&connection) else { return };
                passage.received[from.index()] += bytes.len() as u64;
                let mut rest = &bytes[..];
                let mut out = Outbox::default();
                if passage.consented {
                    passage.secure(String::new(), String::new(), &mut out);
                }
                while !rest.is_empty() {
                    let used = passage.session.receive(from, rest, &mut out);
                    rest = &rest[used..];
                    passage.consented |= out.upgrade.take().is_some();
                    hand_over(connection, at, &mut out, came);
                }
            }
            Piece::Tls { connection, at, version, suite } => {
                let Some(passage) = self.open.get_mut(&connection) else { return };
                let mut out = Outbox::default();
                passage.secure(version, suite, &mut out);
                hand_over(connection, at, &mut out, came);
            }
            Piece::Lost { connection, at, from, bytes } => {
                let Some(passage) = self.open.get_mut(&connection) else { return };
                let mut out = Outbox::default();
                passage.session.missed(from, bytes, &mut out);
                hand_over(connection, at, &mut out, came);
            }
            Piece::Closed { connection, at, by, reset } => {
                let by = match by {
                    Some(peer) if reset => Closer::Reset(peer),
                    Some(peer) => Closer::Peer(peer),
                    None => Closer::Unseen,
                };
                self.end(connection, at, by, came);
            }
            Piece::Remark { connection, text, damage, .. } => {
                let about = connection.map(|number| format!("connection {number}: ")).unwrap_or_default();
                came(Came::Told(format!("{about}{text}"), damage));
            }
        }
    }

    /// The file is at its end.
    pub fn finish(&mut self, came: &mut dyn FnMut(Came)) {
        let mut open: Vec<u64> = self.open.keys().copied().collect();
        open.sort_unstable();
        for connection in open {
            self.end(connection, self.last, Closer::Unseen, came);
        }
    }

    fn begin(
        &mut self,
        number: u64,
        at: Time,
        protocol: Option<&str>,
        (client, server): (String, String),
        inside: bool,
        came: &mut dyn FnMut(Came),
    ) {
        let grammar = protocol.and_then(|name| named(&self.grammars, name));
        let Some(grammar) = grammar else {
            let why = match protocol {
                Some(name) => format!("no description of {name} is known (--grammar FILE)"),
                None => "its protocol was not recognised (--protocol NAME)".to_owned(),
            };
            return came(Came::Told(format!("connection {number} is passed over: {why}"), true));
        };
        if self.open.len() >= MAX_OPEN {
            return came(Came::Told(format!("connection {number} is passed over: {MAX_OPEN} are open already"), true));
        }
        let mut session = Session::new(number, grammar.clone(), Arc::new(Rules::default())).reporting_octets(true);
        if inside {
            session = session.following_tls();
        }
        let opened = Opened {
            protocol: grammar.name.clone(),
            form: grammar.form,
            client,
            server,
            route: Arc::new(RouteName::default()),
            edit: session.edits(),
            rules: Vec::new(),
        };
        let mut out = Outbox::default();
        out.report(Peer::Client, What::Opened(Box::new(opened)));
        self.open.insert(number, Passage { session, received: [0; 2], consented: false, secured: false });
        hand_over(number, at, &mut out, came);
    }

    fn end(&mut self, number: u64, at: Time, by: Closer, came: &mut dyn FnMut(Came)) {
        let Some(mut passage) = self.open.remove(&number) else { return };
        let mut out = Outbox::default();
        let first = match by {
            Closer::Peer(peer) | Closer::Reset(peer) => peer,
            _ => Peer::Client,
        };
        let [client, server] = passage.received;
        let closed =
            Closed { by, why: None, received: [client, server], sent: [server, client], inflated: [(0, 0); 2] };
        passage.session.ended(first, closed, &mut out);
        hand_over(number, at, &mut out, came);
    }
}

/// Takes the events of a call; where octets go is nobody's business here.
fn hand_over(connection: u64, at: Time, out: &mut Outbox, came: &mut dyn FnMut(Came)) {
    let mut batch = std::mem::take(&mut out.batch);
    out.clear();
    if !batch.events.is_empty() {
        (batch.connection, batch.at) = (connection, at);
        came(Came::Events(batch));
    }
}
