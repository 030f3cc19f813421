//! Plays a dialogue through the parts that run live, into any sink, in chunks of any size. Reads no clock.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use imapscope::event::{
    Certificate, Closed, Closer, Opened, Peer, RouteName, Time, TlsFacts, Verification, Wait, What,
};
use imapscope::explain::Explainer;
use imapscope::grammar::Grammar;
use imapscope::session::silence::Thresholds;
use imapscope::session::{Outbox, Session, Upgrade};
use imapscope::sink::Sink;

use super::{Dialogue, ROUTE, Step};

/// 2026-01-01, 00:00:00 UTC.
const START: Time = Time(1_767_225_600_000_000_000);
/// What passes between two turns of the conversation, in nanoseconds.
const TURN: u64 = 10_000_000;

/// The folder of the dialogues.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues")
}

/// The files of all dialogues, in order.
pub fn files() -> Vec<PathBuf> {
    let (mut files, mut due) = (Vec::new(), vec![root()]);
    while let Some(folder) = due.pop() {
        for entry in std::fs::read_dir(folder).expect("the folder can be read") {
            let path = entry.expect("the entry can be read").path();
            if path.is_dir() {
                due.push(path);
            } else if path.extension().is_some_and(|ending| ending == "txt") {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(files.len() >= 20, "the dialogues are there: {} found", files.len());
    files
}

/// All dialogues with their protocols, in order.
#[allow(dead_code)] // Who reads them one by one does not need it.
pub fn all() -> Vec<(PathBuf, Dialogue, Arc<Grammar>)> {
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a dialogue");
        let dialogue = Dialogue::parse(&text).expect("it was written well");
        let grammar = protocol(&path, &dialogue).unwrap_or_else(|problem| panic!("{problem}"));
        (path, dialogue, grammar)
    };
    files().into_iter().map(read).collect()
}

/// The protocol of a dialogue: the one that its folder is named after, unless it names a file.
pub fn protocol(file: &Path, dialogue: &Dialogue) -> Result<Arc<Grammar>, String> {
    if let Some(name) = &dialogue.grammar {
        let text = std::fs::read_to_string(root().with_file_name(name)).map_err(|error| format!("{name}: {error}"))?;
        return Grammar::load(name, &text).map(Arc::new).map_err(|problems| format!("{}", problems[0]));
    }
    let folder = file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    Grammar::builtin(&folder).ok_or_else(|| format!("no protocol is called {folder}"))
}

/// Plays a dialogue as connection `number`, secrets shown or hidden; each step comes in chunks of `size` octets at most.
#[allow(dead_code)] // Who cuts otherwise does not need it.
pub fn play(dialogue: &Dialogue, grammar: &Arc<Grammar>, how: (u64, usize, bool), sink: &mut dyn Sink) {
    let (number, size, show) = how;
    play_cut(dialogue, &dialogue.steps, grammar, (number, show), &|bytes| bytes.chunks(size).collect(), sink);
}

/// The same with these steps, each cut into chunks in any way; gives what the client and the server were sent.
pub fn play_cut(
    dialogue: &Dialogue,
    steps: &[Step],
    grammar: &Arc<Grammar>,
    (number, show): (u64, bool),
    cut: &dyn Fn(&[u8]) -> Vec<&[u8]>,
    sink: &mut dyn Sink,
) -> [Vec<u8>; 2] {
    let route = Arc::new(RouteName { number: 1, written: ROUTE.to_owned() });
    let mut session = Session::new(number, grammar.clone(), dialogue.rules.clone())
        .with_client("127.0.0.1", route.clone())
        .reporting_octets(sink.wants_octets());
    // TLS that begins in the middle is that of a STARTTLS, which is followed then.
    let sends = |step: &&Step| matches!(step, Step::Send { .. });
    if steps.iter().skip_while(|step| !sends(step)).any(|step| matches!(step, Step::Tls { .. })) {
        session = session.following_tls();
    }
    let (explainer, out) = (Explainer::new(grammar.clone(), show), Outbox::default());
    let (sent, told) = (Default::default(), 0);
    let mut stage = Stage { explainer, out, number, now: START, moved: START, told, sent, sink };
    let opened = Opened {
        middle: None,
        protocol: grammar.name.clone(),
        form: grammar.form,
        route,
        client: "127.0.0.1:50000".to_owned(),
        server: format!("{}://mail.example.org:{}", grammar.name, grammar.port),
        edit: session.edits(),
        rules: session.rules(),
    };
    stage.report(Peer::Client, What::Opened(Box::new(opened)));
    let (mut last, mut closer, mut received) = (None, None, [0; 2]);
    let (mut upgrade, mut ahead) = (None, <[Vec<u8>; 2]>::default());
    for step in steps {
        if let Some(from) = step.from()
            && last.replace(from).is_some_and(|last| last != from)
        {
            stage.now.0 += TURN;
        }
        match step {
            Step::Send { from, bytes, .. } => {
                (stage.moved, stage.told) = (stage.now, 0);
                for mut chunk in cut(bytes) {
                    received[from.index()] += chunk.len() as u64;
                    while !chunk.is_empty() && !session.waits_for_tls(*from) {
                        let taken = session.receive(*from, chunk, &mut stage.out);
                        upgrade = upgrade.or(stage.out.upgrade.take());
                        stage.carry(chunk);
                        chunk = &chunk[taken..];
                    }
                    ahead[from.index()].extend_from_slice(chunk);
                }
            }
            Step::Tls { from, name } => {
                if let Some(begins) = upgrade.take() {
                    stage.secure(&mut session, begins, std::mem::take(&mut ahead));
                }
                stage.report(*from, What::Tls(Box::new(facts(*from, name))));
            }
            Step::Close { from } => {
                closer.get_or_insert(*from);
                session.closed(*from, &mut stage.out);
                stage.carry(&[]);
            }
            Step::Pause(time) => stage.rest(*time, &session),
        }
    }
    assert!(ahead.iter().all(Vec::is_empty), "what waited for TLS was slipped in: TLS has begun");
    let by = closer.map_or(Closer::Ours, Closer::Peer);
    let sent = stage.sent.each_ref().map(|sent| sent.len() as u64);
    let end = Closed { by, why: None, received, sent, inflated: [(0, 0); 2] };
    session.ended(closer.unwrap_or(Peer::Client), end, &mut stage.out);
    stage.carry(&[]);
    stage.sink.flush().expect("there is room");
    stage.sent
}

/// The driver: the parts of a live connection, without sockets and clocks.
struct Stage<'a> {
    explainer: Explainer,
    out: Outbox,
    number: u64,
    now: Time,
    /// When the last byte came.
    moved: Time,
    /// How often the silence since then was told.
    told: u32,
    /// What the client and the server were sent.
    sent: [Vec<u8>; 2],
    sink: &'a mut dyn Sink,
}

impl Stage<'_> {
    /// Adds an event of the driver's own.
    fn report(&mut self, from: Peer, what: What) {
        self.out.report(from, what);
        self.carry(&[]);
    }

    /// TLS begins on both legs; what came ahead of it was slipped in.
    fn secure(&mut self, session: &mut Session, begins: Upgrade, ahead: [Vec<u8>; 2]) {
        assert!(begins.server && begins.next.is_empty(), "the peers agreed to it");
        for from in [Peer::Server, Peer::Client] {
            session.slipped_in(from, &ahead[from.index()], &mut self.out);
            self.carry(&[]);
        }
        self.sent[Peer::Client.index()].extend(begins.consent.unwrap_or_default());
        session.secured();
    }

    /// Nothing moves for so long.
    fn rest(&mut self, time: Duration, session: &Session) {
        let (since, end) = (self.moved, Time(self.now.0 + time.as_nanos() as u64));
        while let Some(next) = Thresholds::USUAL.after(self.told) {
            let due = Time(since.0 + next.as_nanos() as u64);
            if due > end {
                break;
            }
            self.told += 1;
            if let Some(wait) = session.owed() {
                self.now = due;
                self.report(wait.by.other(), What::Waiting(Box::new(Wait { since, ..wait })));
            }
        }
        self.now = end;
    }

    /// Takes what a call has left in the outbox to where it belongs.
    fn carry(&mut self, chunk: &[u8]) {
        for peer in [Peer::Client, Peer::Server] {
            for piece in self.out.pieces(peer, chunk) {
                self.sent[peer.index()].extend_from_slice(piece);
            }
        }
        let mut batch = std::mem::take(&mut self.out.batch);
        self.out.clear();
        (batch.connection, batch.at) = (self.number, self.now);
        let sink = &mut self.sink;
        self.explainer.explain(&mut batch, &mut |event| {
            sink.put(event).expect("there is room");
            if sink.is_full() {
                sink.flush().expect("there is room");
            }
        });
    }
}

/// What the log tells of TLS on a leg.
fn facts(peer: Peer, step: &str) -> TlsFacts {
    let mut words = step.split(' ');
    let name = words.next().unwrap_or_default();
    let certificate = Certificate {
        subject: format!("CN={name}"),
        issuer: "CN=Authority".to_owned(),
        names: vec![name.to_owned()],
        not_before: 1_735_689_600,
        not_after: 1_798_761_600,
        ..Certificate::default()
    };
    let mut facts = TlsFacts {
        version: "TLS 1.3".to_owned(),
        suite: "TLS_AES_256_GCM_SHA384".to_owned(),
        name: Some(name.to_owned()),
        certificate: Some(certificate),
        verdict: if peer == Peer::Server { Verification::Verified } else { Verification::Ours },
        ..TlsFacts::default()
    };
    for word in words {
        match word {
            "insecure" => {
                facts.insecure = true;
                facts.verdict = Verification::Unverified("it is self-signed, and not known here".to_owned());
            }
            "old" => {
                facts.legacy = true;
                facts.version = "TLS 1.0".to_owned();
                facts.suite = "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA".to_owned();
            }
            other => panic!("a leg is insecure or old, and not {other}"),
        }
    }
    facts
}
