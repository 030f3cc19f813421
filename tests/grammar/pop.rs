//! The descriptions of POP3 and of ManageSieve: complete, every entry with its meaning and its place of definition, and
//! with the marks that a session must know.

use imapscope::event::{Form, State};
use imapscope::grammar::{Grammar, Lists, Named, Secret, Standing, Table, Then};

use crate::description::{assert_all_told, grammar, names};

/// The names that each description must know.
const NAMES: [(&str, &str); 2] =
    [("pop3", include_str!("../data/names-pop3.txt")), ("managesieve", include_str!("../data/names-managesieve.txt"))];

/// Names, spelled as in the table.
fn all<T: Named>(table: &Table<T>) -> Vec<&str> {
    table.iter().map(Named::name).collect()
}

#[test]
fn every_name_has_an_entry_of_its_own_and_there_are_no_others() {
    for (protocol, list) in NAMES {
        let g = grammar(protocol);
        let mut kinds = vec![
            ("command", all(&g.commands)),
            ("capability", all(&g.capabilities)),
            ("response", all(&g.responses)),
            ("code", all(&g.codes)),
        ];
        kinds.extend(g.vocabularies.iter().map(|v| (v.kind.as_str(), all(&v.words))));
        let mut known: Vec<(&str, &str)> =
            kinds.iter().flat_map(|(kind, names)| names.iter().map(|name| (*kind, *name))).collect();
        let mut wanted = names(list);
        known.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(known, wanted, "{protocol}");
    }
    assert_eq!(NAMES.map(|(_, list)| names(list).len()), [56, 119], "a list of names has been cut");
}

#[test]
fn every_entry_has_a_meaning_and_a_place_of_definition() {
    for (protocol, _) in NAMES {
        assert_all_told(&grammar(protocol));
    }
}

/// What a description marks: what follows commands, what is secret in them, the states after them, what is a list.
type Marks<'g> = (Vec<(&'g str, Then)>, Vec<(&'g str, Secret)>, Vec<(&'g str, State)>, Vec<(&'g str, Lists)>);

/// The marks of all commands, in the order of their names.
fn marks(g: &Grammar) -> Marks<'_> {
    (
        g.commands.iter().filter_map(|c| Some((c.name(), c.then?))).collect(),
        g.commands.iter().filter_map(|c| Some((c.name(), c.secret?))).collect(),
        g.commands.iter().filter_map(|c| Some((c.name(), c.on_ok?))).collect(),
        g.commands.iter().filter_map(|c| Some((c.name(), c.lists?))).collect(),
    )
}

/// The commands that need a capability, with it.
fn needs(g: &Grammar) -> Vec<(&str, &str)> {
    g.commands.iter().flat_map(|c| c.needs.iter().map(|need| (c.name(), need.as_str()))).collect()
}

#[test]
fn pop3_marks_what_a_session_must_know() {
    let g = grammar("pop3");
    assert_eq!((g.form, g.port), (Form::Pop3, 110));
    let (then, secret, on_ok, lists) = marks(&g);
    assert_eq!(
        then,
        [
            ("AUTH", Then::Sasl),
            ("CAPA", Then::ServerDot),
            ("LANG", Then::ServerLines),
            ("LIST", Then::ServerLines),
            ("RETR", Then::ServerDot),
            ("STLS", Then::Tls),
            ("TOP", Then::ServerDot),
            ("UIDL", Then::ServerLines),
        ]
    );
    assert_eq!(
        secret,
        [("APOP", Secret::AfterName), ("AUTH", Secret::AfterFirst), ("PASS", Secret::All), ("USER", Secret::Rest)]
    );
    assert_eq!(
        on_ok,
        [
            ("APOP", State::Transaction),
            ("AUTH", State::Transaction),
            ("PASS", State::Transaction),
            ("QUIT", State::Update),
        ]
    );
    assert_eq!(lists, [("CAPA", Lists::Capabilities)]);
    assert_eq!(
        needs(&g),
        [("AUTH", "SASL"), ("LANG", "LANG"), ("STLS", "STLS"), ("TOP", "TOP"), ("UIDL", "UIDL"), ("UTF8", "UTF8")]
    );
    assert_eq!(g.command("stls").map(|c| c.states.as_slice()), Some([State::Authorization].as_slice()));
    assert_eq!(g.command("DELE").map(|c| c.states.as_slice()), Some([State::Transaction].as_slice()));
    assert!(g.covers("AUTH-RESP-CODE", "RESP-CODES"));
    assert!(g.covers("auth=plain", "AUTH=*"));
}

#[test]
fn managesieve_marks_what_a_session_must_know() {
    let g = grammar("managesieve");
    assert_eq!((g.form, g.port), (Form::Managesieve, 4190));
    let (then, secret, on_ok, lists) = marks(&g);
    assert_eq!(then, [("AUTHENTICATE", Then::Sasl), ("STARTTLS", Then::Tls)]);
    assert_eq!(secret, [("AUTHENTICATE", Secret::AfterFirst)]);
    assert_eq!(
        on_ok,
        [
            ("AUTHENTICATE", State::Authenticated),
            ("LOGOUT", State::Logout),
            ("UNAUTHENTICATE", State::NotAuthenticated),
        ]
    );
    assert_eq!(lists, [("CAPABILITY", Lists::Capabilities)]);
    assert_eq!(
        needs(&g),
        [
            ("AUTHENTICATE", "SASL"),
            ("CHECKSCRIPT", "VERSION"),
            ("NOOP", "VERSION"),
            ("RENAMESCRIPT", "VERSION"),
            ("STARTTLS", "STARTTLS"),
            ("UNAUTHENTICATE", "UNAUTHENTICATE"),
            ("XCLIENT", "XCLIENT"),
        ]
    );
    assert_eq!(g.command("putscript").map(|c| c.states.as_slice()), Some([State::Authenticated].as_slice()));
    assert_eq!(g.code("quota/maxscripts").map(Named::name), Some("QUOTA/MAXSCRIPTS"));
    assert_eq!(g.code("QUOTA/NEW").map(Named::name), Some("QUOTA/*"));
    let words = g.vocabulary("sieve extension").expect("the extensions of Sieve");
    assert_eq!(words.get(b"vnd.stalwart.while").map(Named::name), Some("vnd.stalwart.*"));
    assert_eq!(words.get(b"regex").map(|w| w.status), Some(Standing::Draft));
}
