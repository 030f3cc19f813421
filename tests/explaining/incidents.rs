//! Plays the documented incidents (`tests/data/incidents`), each after a healthy beginning, and compares verdict, waits and
//! suspects with what is known of it. The counts may only rise, and nobody is accused who is not at fault, but for a list.
//!
//! A heading of the data is `= ID STATE; WORD VALUES; …` with these words: `offers`, the server's capabilities in the beginning ·
//! `exists`, the number of messages in the mailbox · `fault`, the culprit (`path` for a box in between) · `rules`, those of the
//! catalogue that are broken; none where the wire is legal or the server has a policy · `drop`, the capabilities to blame · `found`,
//! how such a fault is found. The client ends the connection, unless a step says otherwise.
//!
//! `INCIDENTS=1 cargo test --test explaining -- incidents --nocapture` prints the table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Cursor};
use std::path::Path;

use imapscope::check::Check;
use imapscope::event::{Culprit, NoteKind, Peer, State, Verdict, VerdictKind};
use imapscope::exchange::Explained;
use imapscope::explain::Explainer;
use imapscope::foreign::{self, Kind};
use imapscope::grammar::{BUILTIN, Grammar};
use imapscope::sink::Sink;
use imapscope::verb::foreign::{Came, Passages};

use crate::dialogue::{Dialogue, Step, play};

/// Minimum number of incidents, of 107, whose verdict is right: see `right`.
const CULPRITS: usize = 28;
/// Minimum number of incidents in which a check fires that answers to one of its rules.
const RULES: usize = 15;
/// Minimum number of incidents found by the client's stopping, of 8, whose verdict says so.
const STOPPED: usize = 8;
/// Minimum number of incidents found with a clock, of 10, that have a wait, or the server's BYE as their verdict.
const WAITS: usize = 8;
/// Minimum number of incidents with a capability to blame, of 19, that suggest dropping it.
const TRIED: usize = 17;

/// False accusations: the incident, the check, and the reason why it fires.
const FALSE: &[(&str, &str, &str)] = &[
    (
        "imap-135",
        "wrong-protocol",
        "settings that do not fit are nobody's; the bytes in the wrong place are the client's",
    ),
    ("imap-142", "tag-unknown", "true: a tagged reply to no command; the catalogue blames the client that believes it"),
    (
        "smtp-017",
        "wrong-state",
        "true: BDAT without RCPT; the catalogue blames the server that reads its bytes as commands",
    ),
    ("smtp-025", "starttls-injection", "true: bytes before TLS; the catalogue blames the client that believes them"),
    ("smtp-031", "capability-not-offered", "a box in between masks STARTTLS, and no check knows its mask"),
];

/// One incident.
struct Incident {
    id: String,
    protocol: &'static str,
    state: State,
    /// `offers`, `exists`, `fault`, `rules`, `drop`, `found`, with their values.
    facts: BTreeMap<String, Vec<String>>,
    /// Its steps, as a dialogue file has them.
    steps: String,
}

impl Incident {
    fn values(&self, fact: &str) -> &[String] {
        self.facts.get(fact).map_or(&[], Vec::as_slice)
    }

    fn is(&self, fact: &str, value: &str) -> bool {
        self.values(fact).iter().any(|known| known == value)
    }

    fn fault(&self) -> &str {
        &self.values("fault")[0]
    }

    /// What a healthy client and server say until the state is reached.
    fn beginning(&self) -> String {
        let offers: String = self.values("offers").iter().map(|name| format!(" {name}")).collect();
        let exists = self.values("exists").first().map_or("20", String::as_str);
        let (state, mut said) = (self.state, String::new());
        match self.protocol {
            "imap" if state != State::Greeting => {
                said += &format!("S: * OK [CAPABILITY IMAP4rev1{offers}] ready\n");
                if state != State::NotAuthenticated {
                    said += &format!("C: p1 LOGIN alice wonderland\nS: p1 OK [CAPABILITY IMAP4rev1{offers}] in\n");
                }
                if state == State::Selected {
                    said += &format!(
                        "C: p2 SELECT INBOX\nS: * FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\nS: * {exists} EXISTS\n\
                         S: * 0 RECENT\nS: * OK [UIDVALIDITY 7] valid\nS: * OK [UIDNEXT 1000000] next\n\
                         S: * OK [HIGHESTMODSEQ 20000000] highest\n\
                         S: * OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] kept\n\
                         S: p2 OK [READ-WRITE] selected\n"
                    );
                }
            }
            "smtp" if state != State::Greeting => {
                said += "S: 220 mx.example.org ESMTP\n";
                if state != State::Connected {
                    let (auth, others): (Vec<_>, Vec<_>) =
                        self.values("offers").iter().partition(|name| name.starts_with("AUTH="));
                    let auth: String = auth.iter().map(|name| name.replace("AUTH=", " ")).collect();
                    let mut lines = vec!["mx.example.org".to_owned()];
                    lines.extend(others.into_iter().cloned());
                    lines.extend((!auth.is_empty()).then(|| format!("AUTH{auth}")));
                    said += "C: EHLO client.example.org\n";
                    for (at, line) in lines.iter().enumerate() {
                        let mark = if at + 1 < lines.len() { '-' } else { ' ' };
                        writeln!(said, "S: 250{mark}{line}").expect("there is room");
                    }
                }
                if state == State::Rcpt {
                    said += "C: MAIL FROM:<alice@example.com>\nS: 250 2.1.0 ok\n";
                    said += "C: RCPT TO:<bob@example.org>\nS: 250 2.1.5 ok\n";
                }
            }
            "pop3" if state != State::Greeting => {
                said += "S: +OK ready\n";
                if state == State::Transaction {
                    said += "C: USER alice\nS: +OK go on\nC: PASS wonderland\nS: +OK in\n";
                }
            }
            "managesieve" if state != State::Greeting => {
                said += "S: \"IMPLEMENTATION\" \"sieved\"\nS: \"SASL\" \"PLAIN\"\nS: \"SIEVE\" \"fileinto\"\nS: \"VERSION\" \"1.0\"\nS: OK\n";
            }
            _ => {}
        }
        said
    }

    /// A beginning and steps, as a dialogue.
    fn dialogue(&self, steps: &str) -> Dialogue {
        Dialogue::parse(&format!("# {}\n{steps}", self.id)).unwrap_or_else(|wrong| panic!("{}: {wrong}", self.id))
    }

    /// The steps of the incident, and those before them.
    fn whole(&self) -> Dialogue {
        let closes = self.steps.lines().any(|line| matches!(line, "C." | "S."));
        self.dialogue(&format!("{}{}{}", self.beginning(), self.steps, if closes { "" } else { "C.\n" }))
    }
}

/// The incidents of all protocols.
fn incidents() -> Vec<Incident> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/incidents");
    let mut incidents = Vec::new();
    for (protocol, _) in BUILTIN {
        let Ok(text) = fs::read_to_string(folder.join(format!("{protocol}.txt"))) else { continue };
        for part in text.split("\n= ").skip(1) {
            let (head, steps) = part.split_once('\n').expect("steps below the heading");
            let mut words = head.split("; ");
            let (id, state) = words.next().and_then(|first| first.split_once(' ')).expect("an id and a state");
            let fact = |word: &str| {
                let mut word = word.split(' ').map(str::to_owned);
                let name = word.next().expect("a word");
                let known = ["offers", "exists", "fault", "rules", "drop", "found"].contains(&&*name);
                assert!(known, "{id}: {name:?} is no word of a heading");
                (name, word.collect())
            };
            let incident = Incident {
                id: id.to_owned(),
                protocol,
                state: State::named(state).unwrap_or_else(|| panic!("{id}: {state:?} is no state")),
                facts: words.map(fact).collect(),
                steps: format!("{}\n", steps.trim_end_matches('\n')),
            };
            assert!(["client", "server", "both", "path"].contains(&incident.fault()), "{id}");
            incidents.push(incident);
        }
    }
    let ids: BTreeSet<&str> = incidents.iter().map(|incident| &*incident.id).collect();
    assert_eq!((ids.len(), incidents.len()), (107, 107), "each of the catalogue, once");
    incidents
}

/// What is said of a conversation.
#[derive(Default)]
struct Said {
    /// Who is accused, by which check, in order.
    findings: Vec<(Culprit, &'static str, String)>,
    waits: Vec<String>,
    state: State,
    verdict: Option<Verdict>,
}

impl Said {
    fn of(dialogue: &Dialogue, protocol: &str) -> Said {
        let mut said = Said::default();
        let grammar = Grammar::builtin(protocol).expect("it is built in");
        play::play(dialogue, &grammar, (1, usize::MAX, false), &mut said);
        said
    }

    /// Takes an event.
    fn note(&mut self, event: &Explained<'_>) {
        self.state = event.connection.state;
        for note in event.notes {
            // A consequence has the culprit of the first cause.
            let NoteKind::Finding(culprit) = note.kind else { continue };
            self.findings.push((culprit, note.check, note.text.clone()));
        }
        self.waits.extend(event.waiting.map(|waiting| waiting.text.clone()));
        if let Some(summary) = event.summary {
            let cause = &summary.verdict.cause;
            if cause.check == "closed-without-answer" {
                self.findings.push((cause.culprit, cause.check, cause.text.clone()));
            }
            self.verdict = Some(summary.verdict.clone());
        }
    }

    /// Who is accused.
    fn accused(&self) -> BTreeSet<&'static str> {
        self.findings.iter().map(|(culprit, ..)| culprit.word()).filter(|word| *word != "none").collect()
    }

    /// The checks that accuse somebody else than whoever is at fault.
    fn wrongly(&self, incident: &Incident) -> BTreeSet<&'static str> {
        let fault = incident.fault();
        let legal = incident.values("rules").is_empty();
        let wrong =
            |culprit: &Culprit| *culprit != Culprit::None && (legal || fault != "both" && fault != culprit.word());
        self.findings.iter().filter(|(culprit, ..)| wrong(culprit)).map(|(_, check, _)| *check).collect()
    }
}

impl Sink for Said {
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()> {
        self.note(event);
        Ok(())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// True if the verdict is the one that the incident should have.
fn right(incident: &Incident, verdict: &Verdict) -> bool {
    let culprit = verdict.cause.culprit.word();
    if incident.is("found", "abort") {
        verdict.kind == VerdictKind::Stopped
    } else if incident.values("rules").is_empty() {
        matches!(verdict.kind, VerdictKind::Refused | VerdictKind::Limit)
    } else {
        culprit == incident.fault() || incident.fault() == "both" && culprit != "none"
    }
}

/// True if the verdict is that the server ended the session, in its own words.
fn ended_by_bye(verdict: &Verdict) -> bool {
    matches!(verdict.kind, VerdictKind::Refused | VerdictKind::Limit) && verdict.text.contains("S: * BYE ")
}

/// True if a check fired that answers to a rule of the incident.
fn named(incident: &Incident, said: &Said) -> bool {
    let answers =
        |id: &str| Check::named(id).is_some_and(|check| check.rules.iter().any(|rule| incident.is("rules", rule)));
    said.findings.iter().any(|(_, check, _)| answers(check))
}

/// True if a capability to blame is to be tried.
fn tried(incident: &Incident, verdict: &Verdict) -> bool {
    let is = |name: &str| incident.values("drop").iter().any(|drop| name == drop || name == format!("AUTH={drop}"));
    verdict.suspects.iter().any(|suspect| is(&suspect.name))
}

#[test]
fn documented_incidents_have_their_culprits() {
    let (mut table, mut counts, mut wrong) = (String::new(), [0; 5], Vec::new());
    let mut known: BTreeSet<(String, &str)> = FALSE.iter().map(|(id, check, _)| ((*id).to_owned(), *check)).collect();
    for incident in incidents() {
        let said = Said::of(&incident.whole(), incident.protocol);
        let verdict = said.verdict.as_ref().expect("an end has a verdict");
        let clock = incident.is("found", "timing");
        let hits = [
            right(&incident, verdict),
            named(&incident, &said),
            incident.is("found", "abort") && verdict.kind == VerdictKind::Stopped,
            clock && (!said.waits.is_empty() || ended_by_bye(verdict)),
            tried(&incident, verdict),
        ];
        for (count, hit) in counts.iter_mut().zip(hits) {
            *count += usize::from(hit);
        }
        for check in said.wrongly(&incident) {
            if !known.remove(&(incident.id.clone(), check)) {
                wrong.push(format!("{}: {check} accuses who is not at fault", incident.id));
            }
        }
        let sign = |asked: bool, hit: bool| {
            if hit {
                '+'
            } else if asked {
                '-'
            } else {
                '.'
            }
        };
        let checks: Vec<String> =
            said.findings.iter().map(|(culprit, check, _)| format!("{}:{check}", culprit.word())).collect();
        let tries: Vec<&str> = verdict.suspects.iter().map(|suspect| &*suspect.name).collect();
        writeln!(
            table,
            "{:9} {:6} {}{}{}{} {:8} {:9} [{}] {} | try {} | {}",
            incident.id,
            incident.fault(),
            sign(true, hits[0]),
            sign(!incident.values("rules").is_empty(), hits[1]),
            sign(clock, hits[3]),
            sign(!incident.values("drop").is_empty(), hits[4]),
            verdict.kind.word(),
            verdict.cause.culprit.word(),
            checks.join(" "),
            said.waits.last().map_or("", String::as_str),
            tries.join(" "),
            verdict.text,
        )
        .expect("there is room");
    }
    wrong
        .extend(known.iter().map(|(id, check)| format!("{id}: {check} accuses nobody wrongly any more: drop its row")));
    let names = ["culprits", "rules", "stopped", "waits", "tried"];
    for ((name, count), floor) in names.iter().zip(counts).zip([CULPRITS, RULES, STOPPED, WAITS, TRIED]) {
        writeln!(table, "{name}: {count}, at least {floor}").expect("there is room");
        if count < floor {
            wrong.push(format!("{name}: {count}, and it was {floor}"));
        }
    }
    if std::env::var_os("INCIDENTS").is_some() {
        println!("{table}");
    }
    assert!(wrong.is_empty(), "id, at fault, culprit rule wait try, verdict:\n{table}\n{}", wrong.join("\n"));
}

#[test]
fn each_begins_in_its_state_without_a_fault() {
    for incident in incidents() {
        if incident.state == State::Greeting {
            continue;
        }
        let command = match incident.protocol {
            "imap" => "C: p9 NOOP\n",
            "pop3" => "C: CAPA\n",
            _ => "C: NOOP\n",
        };
        let said = Said::of(&incident.dialogue(&(incident.beginning() + command)), incident.protocol);
        assert_eq!((said.state, said.findings.len()), (incident.state, 0), "{}: {:?}", incident.id, said.findings);
    }
}

/// Reads the steps of an incident as a text file that begins in its state; `None` if no such file can hold them.
fn read(incident: &Incident) -> Option<Said> {
    let mut file = String::new();
    let mut open = [const { String::new() }; 2];
    for step in incident.dialogue(&incident.steps).steps {
        match step {
            Step::Send { from, bytes, .. } => {
                let part = &mut open[from.index()];
                *part += std::str::from_utf8(&bytes).ok()?;
                while let Some((line, rest)) = part.split_once("\r\n") {
                    if line.contains(|c: char| c.is_control() && c != '\t') {
                        return None;
                    }
                    writeln!(file, "{}: {line}", if from == Peer::Client { 'C' } else { 'S' }).expect("there is room");
                    *part = rest.to_owned();
                }
            }
            Step::Tls { .. } => return None,
            Step::Close { .. } | Step::Pause(_) => {}
        }
    }
    if !open.iter().all(String::is_empty) {
        return None;
    }
    let (mut said, mut explainer) = (Said::default(), None);
    let mut came = |came: Came| {
        let Came::Events(mut batch) = came else { return };
        let grammar = || Grammar::builtin(incident.protocol).expect("it is built in");
        explainer
            .get_or_insert_with(|| Explainer::new(grammar(), false))
            .explain(&mut batch, &mut |event| said.note(event));
    };
    let grammars = BUILTIN.iter().filter_map(|(name, _)| Grammar::builtin(name)).collect();
    let mut passages = Passages::new(grammars).beginning_in(Some(incident.state));
    let pieces = foreign::read(Cursor::new(file.into_bytes()), Kind::Transcript, "file", Some(incident.protocol));
    for piece in pieces.expect("it is a transcript") {
        passages.take(piece, &mut came);
    }
    passages.finish(&mut came);
    Some(said)
}

#[test]
fn an_abridged_text_accuses_nobody_else() {
    let (mut wrong, mut files) = (Vec::new(), 0);
    for incident in incidents() {
        let Some(said) = read(&incident) else { continue };
        files += 1;
        let live = Said::of(&incident.whole(), incident.protocol);
        if !said.accused().is_subset(&live.accused()) {
            wrong.push(format!("{}: {:?} of a file, {:?} live", incident.id, said.findings, live.findings));
        }
    }
    assert!(wrong.is_empty() && files > 90, "{files} files\n{}", wrong.join("\n"));
}
