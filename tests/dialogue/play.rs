//! Plays a dialogue through the parts that run live, into any sink, in chunks of any size. Reads no clock.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use imapscope::event::{Certificate, Closed, Closer, Opened, Peer, RouteName, Time, TlsFacts, Verdict, What};
use imapscope::explain::Explainer;
use imapscope::grammar::Grammar;
use imapscope::session::{Outbox, Session};
use imapscope::sink::Sink;

use super::dialogue::{Dialogue, ROUTE, Step};

/// 2026-01-01, 00:00:00 UTC.
const START: u64 = 1_767_225_600_000_000_000;
/// What passes between two steps, in nanoseconds.
const STEP: u64 = 10_000_000;

/// The folder of the dialogues.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues")
}

/// All dialogues with their protocols, in order.
pub fn all() -> Vec<(PathBuf, Dialogue, Arc<Grammar>)> {
    let (mut files, mut due) = (Vec::new(), vec![root()]);
    while let Some(folder) = due.pop() {
        for entry in std::fs::read_dir(folder).expect("the folder can be read") {
            let path = entry.expect("the entry can be read").path();
            match path.extension() {
                Some(ending) if ending == "txt" => files.push(path),
                _ => due.push(path),
            }
        }
    }
    files.sort();
    assert!(files.len() >= 20, "the dialogues are there");
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a dialogue");
        let dialogue = Dialogue::parse(&text).expect("it was written well");
        let grammar = match &dialogue.grammar {
            Some(name) => {
                let text = std::fs::read_to_string(root().with_file_name(name)).expect("a description");
                Arc::new(Grammar::load(name, &text).expect("it is right"))
            }
            None => {
                let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
                Grammar::builtin(&folder).expect("the folder is named after a protocol")
            }
        };
        (path, dialogue, grammar)
    };
    files.into_iter().map(read).collect()
}

/// Plays a dialogue as connection `number`, secrets shown or hidden; each step comes in chunks of `size` octets at most.
pub fn play(
    dialogue: &Dialogue,
    grammar: &Arc<Grammar>,
    (number, size, show): (u64, usize, bool),
    sink: &mut dyn Sink,
) {
    let route = Arc::new(RouteName { number: 1, written: ROUTE.to_owned() });
    let mut session = Session::new(number, grammar.clone(), dialogue.rules.clone())
        .with_client("127.0.0.1", route.clone())
        .reporting_octets(sink.wants_octets());
    let mut stage =
        Stage { explainer: Explainer::new(grammar.clone(), show), out: Outbox::default(), number, now: START, sink };
    let opened = Opened {
        protocol: grammar.name.clone(),
        form: grammar.form,
        route,
        client: "127.0.0.1:50000".to_owned(),
        server: format!("{}://mail.example.org:{}", grammar.name, grammar.port),
        edit: session.edits(),
        rules: session.rules(),
    };
    stage.out.report(Peer::Client, What::Opened(Box::new(opened)));
    stage.carry();
    let mut closer = None;
    for step in &dialogue.steps {
        stage.now += STEP;
        match step {
            Step::Send { from, bytes, .. } => {
                for mut chunk in bytes.chunks(size) {
                    while !chunk.is_empty() {
                        let taken = session.receive(*from, chunk, &mut stage.out);
                        assert!(taken > 0, "something is taken");
                        stage.carry();
                        chunk = &chunk[taken..];
                    }
                }
            }
            Step::Tls { from, name } => {
                stage.out.report(*from, What::Tls(Box::new(facts(*from, name))));
                stage.carry();
            }
            Step::Close { from } => {
                closer.get_or_insert(*from);
                session.closed(*from, &mut stage.out);
                stage.carry();
            }
        }
    }
    let by = closer.map_or(Closer::Ours, Closer::Peer);
    let end = Closed { by, why: None, received: [0; 2], sent: [0; 2], inflated: [(0, 0); 2] };
    session.ended(closer.unwrap_or(Peer::Client), end, &mut stage.out);
    stage.carry();
    stage.sink.flush().expect("there is room");
}

/// The driver: the parts of a live connection, without sockets and clocks.
struct Stage<'a> {
    explainer: Explainer,
    out: Outbox,
    number: u64,
    now: u64,
    sink: &'a mut dyn Sink,
}

impl Stage<'_> {
    /// Takes what a call has left in the outbox to the sink.
    fn carry(&mut self) {
        let mut batch = std::mem::take(&mut self.out.batch);
        self.out.clear();
        (batch.connection, batch.at) = (self.number, Time(self.now));
        let sink = &mut self.sink;
        self.explainer.explain(&mut batch, &mut |event| {
            sink.put(event).expect("there is room");
            if sink.is_full() {
                sink.flush().expect("there is room");
            }
        });
    }
}

fn facts(peer: Peer, name: &str) -> TlsFacts {
    TlsFacts {
        version: "TLS 1.3".to_owned(),
        suite: "TLS_AES_256_GCM_SHA384".to_owned(),
        name: Some(name.to_owned()),
        certificate: Some(Certificate { subject: format!("CN={name}"), ..Certificate::default() }),
        verdict: if peer == Peer::Server { Verdict::Verified } else { Verdict::Ours },
        ..TlsFacts::default()
    }
}
