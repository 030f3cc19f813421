//! A conversation of our own with a server. What is said and heard goes through a session and an explainer, as if a client had
//! said it through the proxy: so lists are read, words explained and secrets masked by the same code. Every answer has to
//! come within a time and within a number of octets.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::blot::{self, Blot};
use super::dialect::{Dialect, Login, Turn, fields};
use crate::event::{Event, Form, Kind, Note, NoteKind, Offer, Peer, Probed, Secured, Status, Text, What};
use crate::exchange::Explained;
use crate::exchange::capability::MAX_NAMES;
use crate::explain::{Explainer, list, phrase};
use crate::grammar::Grammar;
use crate::net::tls::Trust;
use crate::net::{Call, Clock};
use crate::rules::Rules;
use crate::session::{Outbox, Session};
use crate::wire;

/// How much one answer may be, in octets.
const MOST: usize = 1024 * 1024;

/// So many strange things are told.
const FINDINGS: usize = 32;

/// How many octets are read at once.
const PIECE: usize = 16 * 1024;

/// What ends the talk: a sentence.
pub type Outcome<T> = Result<T, String>;

/// A conversation.
pub struct Talk {
    call: Call,
    grammar: Arc<Grammar>,
    dialect: Dialect,
    session: Session,
    explainer: Explainer,
    out: Outbox,
    clock: Clock,
    limit: Duration,
    secured: bool,
    chunk: Vec<u8>,
    tag: u32,
    blot: Blot,
    heard: Heard,
}

/// What a server offers.
pub struct Listed {
    /// Each name once.
    pub offers: Vec<Offer>,
    /// How many names there was no room for.
    pub more: usize,
    /// The list came unasked, and the question for it had none.
    pub unasked: bool,
}

/// What was heard and not asked for yet.
#[derive(Default)]
struct Heard {
    /// The frame of our last command.
    asked: u64,
    /// A greeting is waited for, which answers nothing.
    greeting: bool,
    answers: VecDeque<Answer>,
    offers: Vec<Offer>,
    more: usize,
    id: Vec<(String, Option<String>)>,
    findings: Vec<Note>,
    /// Remarks on TLS.
    tls: Vec<Note>,
}

/// What the server said to what we said.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    /// It is done, or refused; and with what words.
    Reply(Status, String),
    /// We may go on.
    GoAhead,
    /// Nothing of this protocol, and what is said of it.
    Strange(String),
}

impl Talk {
    /// Begins to speak; `secured` if TLS has begun already.
    pub fn new(call: Call, grammar: Arc<Grammar>, dialect: Dialect, secured: bool, limit: Duration) -> Self {
        let session = Session::new(1, grammar.clone(), Arc::new(Rules::default())).under_tls([secured; 2]);
        Talk {
            call,
            explainer: Explainer::new(grammar.clone(), false),
            session: if secured { session } else { session.following_tls() },
            grammar,
            dialect,
            out: Outbox::default(),
            clock: Clock::start(),
            limit,
            secured,
            chunk: vec![0; PIECE],
            tag: 0,
            blot: Blot::default(),
            heard: Heard::default(),
        }
    }

    /// Moves what was strange into what was found.
    pub fn tell(&mut self, probed: &mut Probed) {
        probed.findings.append(&mut self.heard.findings);
    }

    /// Waits for the greeting, and returns it. True if it says that we are logged in already.
    pub async fn greeted(&mut self) -> Outcome<(String, bool)> {
        self.heard.greeting = true;
        let answer = self.answer("greet").await?;
        self.heard.greeting = false;
        match answer {
            Answer::Reply(status @ (Status::Ok | Status::Preauth), text) => Ok((text, status == Status::Preauth)),
            Answer::Reply(_, text) => Err(format!("the server does not want to talk to us, it said \"{text}\"")),
            Answer::Strange(what) => Err(format!("the server does not greet as a server of {}: {what}", self.name())),
            Answer::GoAhead => Err(self.strange("it asks us to go on")),
        }
    }

    /// Asks what is offered. If the answer has no list, what the server sent unasked since the last question counts: in its
    /// greeting, or in its answer to a login. A server that does not know the question and sent none offers nothing.
    pub async fn offers(&mut self) -> Outcome<Listed> {
        let before = (std::mem::take(&mut self.heard.offers), std::mem::take(&mut self.heard.more));
        let own = match self.call.local() {
            Some(IpAddr::V6(ip)) => format!("[IPv6:{ip}]"),
            Some(ip) => format!("[{ip}]"),
            None => "[127.0.0.1]".to_owned(),
        };
        let asks = self.dialect.asks.replace("{}", &own);
        match self.ask(asks.as_bytes()).await? {
            Answer::Reply(Status::Ok, _) => {}
            Answer::Reply(Status::Bye, text) => return Err(ended(&text)),
            Answer::Reply(_, text) if self.grammar.form == Form::Codes => {
                return Err(format!("the server refuses {asks}, it said \"{text}\""));
            }
            Answer::Reply(..) | Answer::GoAhead => {}
            Answer::Strange(what) => return Err(self.strange(&what)),
        }
        let asked = (std::mem::take(&mut self.heard.offers), std::mem::take(&mut self.heard.more));
        let unasked = asked.0.is_empty() && !before.0.is_empty();
        let (offers, more) = if unasked { before } else { asked };
        Ok(Listed { offers, more, unasked })
    }

    /// Begins TLS with a STARTTLS.
    pub async fn begin_tls(&mut self, trust: &Trust) -> Outcome<Secured> {
        let says = self.grammar.starttls.as_ref().and_then(|how| how.says.last().cloned()).unwrap_or_default();
        match self.ask(says.as_bytes()).await? {
            Answer::Reply(Status::Ok, _) if self.out.upgrade.take().is_some() => {}
            Answer::Reply(_, text) => return Err(format!("the server refuses {says}, it said \"{text}\"")),
            Answer::GoAhead => return Err(self.strange("it asks us to go on")),
            Answer::Strange(what) => return Err(self.strange(&what)),
        }
        // What was offered in plain text means nothing under TLS.
        (self.heard.offers, self.heard.more) = Default::default();
        let secured = self.secure(trust, true).await?;
        self.session.secured();
        if self.grammar.starttls.as_ref().is_some_and(|how| how.lists) {
            self.greeted().await.map_err(|why| format!("{why} (a list was due behind TLS, RFC 5804 section 2.2)"))?;
        }
        Ok(secured)
    }

    /// Begins TLS on the connection.
    pub async fn secure(&mut self, trust: &Trust, asked: bool) -> Outcome<Secured> {
        let facts = self.call.secure(trust, asked).await?;
        self.out.report(Peer::Server, What::Tls(Box::new(facts.clone())));
        self.report();
        self.secured = true;
        Ok(Secured { facts, notes: std::mem::take(&mut self.heard.tls), asked })
    }

    /// Logs in. From here on, the password is masked wherever the server says it.
    pub async fn log_in(&mut self, login: &Login, password: &[u8]) -> Outcome<()> {
        self.blot = Blot::of(login, password);
        let mut turns = login.turns.iter().peekable();
        let mut said = Answer::GoAhead;
        while let Some(turn) = turns.next() {
            said = match turn {
                Turn::Command(line) => self.ask(line).await?,
                Turn::Answer(line) => {
                    self.say(line).await?;
                    self.answer("answer").await?
                }
            };
            match (&said, turns.peek()) {
                (Answer::GoAhead, Some(Turn::Answer(_))) | (Answer::Reply(Status::Ok, _), Some(Turn::Command(_))) => {}
                _ => break,
            }
        }
        if said == Answer::GoAhead {
            // Some say with a challenge why they refuse; the refusal comes behind it.
            let cancel = self.dialect.cancel();
            self.say(cancel).await?;
            said = self.answer("answer").await?;
        }
        match said {
            Answer::Reply(Status::Ok, _) if turns.next().is_none() => Ok(()),
            Answer::Reply(Status::Ok, _) | Answer::GoAhead => {
                Err(format!("the login ({}) did not go as it should", login.name))
            }
            Answer::Reply(_, text) => Err(format!("the server refuses the login ({}), it said \"{text}\"", login.name)),
            Answer::Strange(what) => Err(self.strange(&what)),
        }
    }

    /// Asks what the server is (RFC 2971).
    pub async fn id(&mut self) -> Outcome<Vec<(String, Option<String>)>> {
        self.ask(b"ID NIL").await?;
        Ok(std::mem::take(&mut self.heard.id))
    }

    /// Says goodbye, and waits a moment for the answer.
    pub async fn leave(&mut self) {
        self.limit = self.limit.min(Duration::from_secs(2));
        // What was asked for is there already.
        let _ = self.ask(self.dialect.leaves.as_bytes()).await;
    }

    /// Sends a command and waits for its answer.
    async fn ask(&mut self, command: &[u8]) -> Outcome<Answer> {
        self.tag += 1;
        let tag = if self.dialect.is_imap() { format!("a{} ", self.tag) } else { String::new() };
        self.heard.answers.clear();
        self.say(&[tag.as_bytes(), command].concat()).await?;
        self.answer("answer").await
    }

    /// Sends a line.
    async fn say(&mut self, line: &[u8]) -> Outcome<()> {
        let line = [line, b"\r\n"].concat();
        let mut rest = &line[..];
        while !rest.is_empty() {
            let taken = self.session.receive(Peer::Client, rest, &mut self.out);
            let octets: Vec<u8> = self.out.pieces(Peer::Server, rest).flatten().copied().collect();
            self.report();
            self.out.clear();
            rest = &rest[taken..];
            match timeout_at(Instant::now() + self.limit, self.call.send(&octets)).await {
                Ok(sent) => sent?,
                Err(_) => return Err(format!("the server reads nothing for {} s", self.limit.as_secs_f64())),
            }
        }
        Ok(())
    }

    /// Waits for what answers our last command.
    async fn answer(&mut self, does: &str) -> Outcome<Answer> {
        let until = Instant::now() + self.limit;
        let mut room = MOST;
        loop {
            if let Some(answer) = self.heard.answers.pop_front() {
                return Ok(answer);
            }
            let read = timeout_at(until, self.call.read(&mut self.chunk)).await;
            let Ok(read) = read else {
                let silence = format!("the server did not {does} within {} s", self.limit.as_secs_f64());
                return Err(if self.heard.greeting { format!("{silence}{}", self.hint()) } else { silence });
            };
            let count = read?;
            if count == 0 {
                self.session.closed(Peer::Server, &mut self.out);
                self.report();
                let last = self.heard.answers.pop_front();
                return last.ok_or_else(|| "the server ended the connection".to_owned());
            }
            room = room.checked_sub(count).ok_or("the server says more than can be an answer")?;
            self.take(count);
        }
    }

    /// Takes what was read.
    fn take(&mut self, count: usize) {
        let chunk = std::mem::take(&mut self.chunk);
        let mut at = 0;
        while at < count {
            if self.out.upgrade.is_some() {
                // Behind its consent, nothing that is not under TLS is the server's for sure.
                self.session.slipped_in(Peer::Server, &chunk[at..count], &mut self.out);
                at = count;
            } else {
                at += self.session.receive(Peer::Server, &chunk[at..count], &mut self.out);
            }
            self.report();
            self.out.clear();
        }
        self.chunk = chunk;
    }

    /// Has what happened explained, and keeps of it what was asked for.
    fn report(&mut self) {
        let mut batch = std::mem::take(&mut self.out.batch);
        (batch.connection, batch.at) = (1, self.clock.now());
        let Talk { explainer, heard, grammar, blot, .. } = self;
        explainer.explain(&mut batch, &mut |event| heard.take(event, grammar, blot));
    }

    fn name(&self) -> &str {
        self.grammar.title.split(' ').next().unwrap_or(&self.grammar.name)
    }

    fn strange(&self, what: &str) -> String {
        format!("the server does not answer as a server of {}: {what}", self.name())
    }

    /// What a server that says nothing may want.
    fn hint(&self) -> &'static str {
        if !self.secured {
            ": does this port want TLS at once, as imaps:// has it? --connect-timeout waits longer"
        } else {
            ""
        }
    }
}

impl Heard {
    /// Keeps what is of use of an event.
    fn take(&mut self, event: &Explained<'_>, grammar: &Grammar, blot: &Blot) {
        let Event { from, what } = event.event;
        if *from == Peer::Client {
            if let What::Text(Text { frame, first: true, reading, .. }) = what
                && matches!(reading.kind, Kind::Command { .. })
            {
                self.asked = *frame;
            }
            return;
        }
        let mut bytes = event.bytes.to_vec();
        match what {
            What::Text(text) => {
                // What the explainer has masked.
                for span in &text.secrets {
                    blot::fill(bytes.get_mut(span.start as usize..span.end as usize));
                }
                blot.fill(&mut bytes);
                self.text(text, &bytes, event.notes, grammar, blot);
            }
            What::Data(_) if self.greeting => {
                let said = event.notes.last().map_or_else(|| phrase::quote(&bytes), |note| note.text.clone());
                self.answers.push_back(Answer::Strange(said));
            }
            What::Tls(_) => self.tls.extend(event.notes.iter().cloned()),
            _ => {}
        }
        let strange = event.notes.iter().filter(|note| matches!(note.kind, NoteKind::Finding(_)));
        for note in strange.filter(|_| !matches!(what, What::Tls(_))) {
            let note = Note { text: blot.tell(&note.text), ..note.clone() };
            if self.findings.len() < FINDINGS && !self.findings.contains(&note) {
                self.findings.push(note);
            }
        }
    }

    fn text(&mut self, text: &Text, bytes: &[u8], notes: &[Note], grammar: &Grammar, blot: &Blot) {
        if let Some(found) = text.reading.list.as_ref().filter(|list| list.kind.offers()) {
            let (offers, more) = list::offers(grammar, found, bytes);
            self.more += more;
            for offer in offers {
                let offer = cleared(offer, blot);
                let same = |it: &Offer| it.name.eq_ignore_ascii_case(&offer.name) && it.value == offer.value;
                if self.offers.iter().any(same) {
                    continue;
                }
                if self.offers.len() < MAX_NAMES { self.offers.push(offer) } else { self.more += 1 }
            }
        }
        let answers = text.answers == Some(self.asked);
        let line = || wire::body(bytes).split(|&octet| octet == b'\n').next_back().unwrap_or_default().trim_ascii_end();
        match text.reading.kind {
            Kind::Reply { status, .. } if answers && !text.more || self.greeting || status == Status::Bye => {
                self.answers.push_back(Answer::Reply(status, blot.tell(&phrase::excerpt(line()))));
            }
            Kind::GoAhead { .. } if answers => self.answers.push_back(Answer::GoAhead),
            Kind::Reply { .. } => {}
            Kind::Foreign(_) => {
                let said = notes.last().map_or_else(|| phrase::quote(line()), |note| note.text.clone());
                self.answers.push_back(Answer::Strange(blot.tell(&said)));
            }
            Kind::Info { name, arguments, .. } if name.of(bytes).eq_ignore_ascii_case(b"ID") => {
                let told = fields(arguments.of(bytes)).into_iter();
                self.id = told.map(|(name, value)| (blot.tell(&name), value.map(|value| blot.tell(&value)))).collect();
            }
            // A list without its last line is no greeting yet.
            _ if self.greeting && text.reading.list.is_none() && text.reading.literal.is_none() => {
                self.answers.push_back(Answer::Strange(format!("it said {}", phrase::quote(line()))));
            }
            _ => {}
        }
    }
}

/// The same without secrets.
fn cleared(offer: Offer, blot: &Blot) -> Offer {
    let tell = |text: &String| blot.tell(text);
    let Offer { name, value, meaning, entry } = offer;
    let entry = Note { about: entry.about.as_ref().map(tell), text: tell(&entry.text), ..entry };
    Offer { name: tell(&name), value: value.as_ref().map(tell), meaning, entry }
}

fn ended(text: &str) -> String {
    format!("the server ended the session, it said \"{text}\"")
}
