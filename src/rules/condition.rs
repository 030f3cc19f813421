//! The condition language: what `when` says about a text. Knows the fields and what they may be compared with, and
//! evaluates a parsed condition over whatever gives it facts (`fact`); knows no syntax (that is `parse`) and no action.
//!
//! Truth has three values, so that a condition can be asked what it says when only a part of the facts is known.

use regex::bytes::Regex;

use super::fact::{Fact, Facts};
use super::lines::called;
use crate::check;
use crate::event::{Item, Peer};
use crate::wire::body;
use crate::wire::status::lines;

/// Something that a condition can ask about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Who sent it.
    From,
    /// The number of the connection.
    Conn,
    /// The grammar's name.
    Protocol,
    /// The state in which it was sent.
    State,
    /// The verb of the command that it is or answers.
    Command,
    /// The tag, `*` for untagged responses, `+` for continuation requests.
    Tag,
    /// The status word of a reply, and the word or code that it begins with.
    Status,
    /// The response code of a reply.
    Code,
    /// The whole text without its line end; where it has several lines, any of them.
    Text,
    /// How long after its command a reply came.
    Latency,
    /// The length in octets, line end included.
    Size,
    /// The names in the text's capability list.
    Capability,
    /// Which legs are under TLS.
    Tls,
    /// The rules that fired.
    Rule,
    /// The checks that it failed.
    Check,
    /// How bad the findings about it are.
    Severity,
    /// The user who is logged in.
    User,
    /// The client's address.
    Client,
    /// The route of the connection.
    Route,
}

/// What a field is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Any word.
    Word,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One of these words, or what a reply begins with: three digits, or a word with `+` or `-` before it.
    OneOfOrMark(&'static [&'static str]),
    /// A whole number.
    Number,
    /// A time with its unit; in nanoseconds once it is read.
    Time,
}

/// A row of the table of fields.
#[derive(Debug)]
pub struct FieldRow {
    /// The field.
    pub field: Field,
    /// As the user writes it.
    pub word: &'static str,
    /// What it is compared with.
    pub scale: Scale,
    /// The only peer whose texts have it, if there is one.
    pub only: Option<Peer>,
    /// Why it cannot be known at the time when a rule runs; `None` if it can.
    pub not_in_rules: Option<&'static str>,
}

/// The states of all forms.
const STATES: &[&str] = &[
    "greeting",
    "not-authenticated",
    "authenticated",
    "selected",
    "connected",
    "ready",
    "mail",
    "rcpt",
    "authorization",
    "transaction",
    "update",
    "open",
    "logout",
    "opaque",
];
/// Any finding, whose fault one is, and the ids of all checks.
const CHECKS: &[&str] = &{
    let mut words = [""; check::ALL.len() + 6];
    let whose = ["any", "client", "server", "both", "path", "none"];
    let mut at = 0;
    while at < words.len() {
        words[at] = if at < whose.len() { whose[at] } else { check::ALL[at - whose.len()].id };
        at += 1;
    }
    words
};
const SEVERITIES: &[&str] = &["must", "should", "quirk"];
/// The legs that may be under TLS.
const LEGS: &[&str] = &["none", "client", "server", "both"];
const PEERS: &[&str] = &["client", "server"];
const STATUSES: &[&str] = &["OK", "NO", "BAD", "BYE", "PREAUTH"];

const fn row(field: Field, word: &'static str, scale: Scale) -> FieldRow {
    FieldRow { field, word, scale, only: None, not_in_rules: None }
}

const fn of_server(row: FieldRow) -> FieldRow {
    FieldRow { only: Some(Peer::Server), ..row }
}

const fn later(row: FieldRow, why: &'static str) -> FieldRow {
    FieldRow { not_in_rules: Some(why), ..row }
}

/// Every field, in the order in which they are listed to the user.
pub const FIELDS: &[FieldRow] = &[
    row(Field::From, "from", Scale::OneOf(PEERS)),
    row(Field::Conn, "conn", Scale::Number),
    row(Field::Protocol, "protocol", Scale::Word),
    row(Field::State, "state", Scale::OneOf(STATES)),
    row(Field::Command, "command", Scale::Word),
    row(Field::Tag, "tag", Scale::Word),
    of_server(row(Field::Status, "status", Scale::OneOfOrMark(STATUSES))),
    of_server(row(Field::Code, "code", Scale::Word)),
    row(Field::Text, "text", Scale::Word),
    later(
        of_server(row(Field::Latency, "latency", Scale::Time)),
        "is not known when a rule runs: a text passes the rules first and is timed afterwards",
    ),
    row(Field::Size, "size", Scale::Number),
    row(Field::Capability, "capability", Scale::Word),
    row(Field::Tls, "tls", Scale::OneOf(LEGS)),
    later(
        row(Field::Rule, "rule", Scale::Word),
        "is not known when a rule runs: which rules fire is what is being decided",
    ),
    later(
        row(Field::Check, "check", Scale::OneOf(CHECKS)),
        "is not known when a rule runs: a text passes the rules first and is checked afterwards",
    ),
    later(
        row(Field::Severity, "severity", Scale::OneOf(SEVERITIES)),
        "is not known when a rule runs: a text passes the rules first and is checked afterwards",
    ),
    row(Field::User, "user", Scale::Word),
    row(Field::Client, "client", Scale::Word),
    row(Field::Route, "route", Scale::Word),
];

impl Field {
    /// Its row of the table.
    #[must_use]
    pub fn row(self) -> &'static FieldRow {
        FIELDS.iter().find(|row| row.field == self).unwrap_or(&FIELDS[0])
    }
}

/// The value of a condition. The order makes `&&` the smaller and `||` the larger one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Truth {
    /// It does not hold.
    No,
    /// It depends on what is not known.
    Maybe,
    /// It holds.
    Yes,
}

impl Truth {
    const fn of(holds: bool) -> Self {
        if holds { Truth::Yes } else { Truth::No }
    }

    const fn not(self) -> Self {
        match self {
            Truth::No => Truth::Yes,
            Truth::Maybe => Truth::Maybe,
            Truth::Yes => Truth::No,
        }
    }
}

/// A parsed condition.
#[derive(Debug, Clone)]
pub enum Condition {
    /// `a && b && …`
    All(Vec<Condition>),
    /// `a || b || …`
    Any(Vec<Condition>),
    /// `!a`
    Not(Box<Condition>),
    /// A comparison.
    Test(Field, Relation),
}

/// The right side of a comparison.
#[derive(Debug, Clone)]
pub enum Relation {
    /// `==` or `in`: equal to one of these words, ignoring ASCII case.
    OneOf(Vec<Vec<u8>>),
    /// `!=`: there, and equal to none of these.
    NoneOf(Vec<Vec<u8>>),
    /// `~`
    Matches(Regex),
    /// `==` or `in` for numbers.
    OneOfNumbers(Vec<u64>),
    /// `!=` for numbers.
    NoneOfNumbers(Vec<u64>),
    /// `<`
    Below(u64),
    /// `>`
    Above(u64),
}

impl Condition {
    /// What the condition says about these facts. The depth of nesting is bounded by the parser.
    pub fn evaluate(&self, facts: &impl Facts) -> Truth {
        match self {
            Condition::All(parts) => {
                let mut all = Truth::Yes;
                for part in parts {
                    all = all.min(part.evaluate(facts));
                    if all == Truth::No {
                        break;
                    }
                }
                all
            }
            Condition::Any(parts) => {
                let mut any = Truth::No;
                for part in parts {
                    any = any.max(part.evaluate(facts));
                    if any == Truth::Yes {
                        break;
                    }
                }
                any
            }
            Condition::Not(inner) => inner.evaluate(facts).not(),
            Condition::Test(field, relation) => match relation.compare(facts.fact(*field)) {
                Truth::No if facts.is_partial(*field) => Truth::Maybe,
                truth => truth,
            },
        }
    }

    /// True if it asks about this field.
    #[must_use]
    pub fn asks(&self, of: Field) -> bool {
        match self {
            Condition::All(parts) | Condition::Any(parts) => parts.iter().any(|part| part.asks(of)),
            Condition::Not(inner) => inner.asks(of),
            Condition::Test(field, _) => *field == of,
        }
    }

    /// The words that it compares this field with.
    #[must_use]
    pub fn words(&self, of: Field) -> Vec<&[u8]> {
        match self {
            Condition::All(parts) | Condition::Any(parts) => parts.iter().flat_map(|part| part.words(of)).collect(),
            Condition::Not(inner) => inner.words(of),
            Condition::Test(field, Relation::OneOf(words) | Relation::NoneOf(words)) if *field == of => {
                words.iter().map(Vec::as_slice).collect()
            }
            Condition::Test(..) => Vec::new(),
        }
    }
}

impl Relation {
    fn compare(&self, fact: Fact<'_>) -> Truth {
        let holds = match (fact, self) {
            (Fact::Absent, _) => false,
            (Fact::Unknown, _) => return Truth::Maybe,
            (Fact::Word { word, whole }, Relation::OneOf(values)) => among(values, word) || among(values, whole),
            (Fact::Word { word, whole }, Relation::NoneOf(values)) => !among(values, word) && !among(values, whole),
            (Fact::Word { whole, .. }, Relation::Matches(regex)) => regex.is_match(whole),
            (Fact::Lines(text), Relation::OneOf(values)) => line(text, |line| among(values, line)),
            (Fact::Lines(text), Relation::NoneOf(values)) => !line(text, |line| among(values, line)),
            (Fact::Lines(text), Relation::Matches(regex)) => lines(text).any(|(_, line)| regex.is_match(line)),
            (Fact::Status { status, mark }, Relation::OneOf(values)) => {
                values.iter().any(|value| value.eq_ignore_ascii_case(if is_mark(value) { mark } else { status }))
            }
            (Fact::Status { status, mark }, Relation::NoneOf(values)) => values.iter().all(|value| {
                let found = if is_mark(value) { mark } else { status };
                !found.is_empty() && !value.eq_ignore_ascii_case(found)
            }),
            (Fact::Status { status, mark }, Relation::Matches(regex)) => {
                // A lone `+` is no status that a regex should find.
                [(status, 0), (mark, 1)].iter().any(|(word, least)| word.len() > *least && regex.is_match(word))
            }
            (Fact::Names { text, items }, Relation::OneOf(values)) => named(text, items, |name| among(values, name)),
            (Fact::Names { text, items }, Relation::NoneOf(values)) => !named(text, items, |name| among(values, name)),
            (Fact::Names { text, items }, Relation::Matches(regex)) => named(text, items, |name| regex.is_match(name)),
            (Fact::Route { number, written }, Relation::OneOf(values)) => {
                values.iter().any(|it| is_route(it, number, written))
            }
            (Fact::Route { number, written }, Relation::NoneOf(values)) => {
                !values.iter().any(|it| is_route(it, number, written))
            }
            (Fact::Route { written, .. }, Relation::Matches(regex)) => regex.is_match(written.as_bytes()),
            (Fact::Several(words), Relation::OneOf(values)) => several(&words, values),
            (Fact::Several(words), Relation::NoneOf(values)) => !words.is_empty() && !several(&words, values),
            (Fact::Several(words), Relation::Matches(regex)) => words.iter().any(|word| regex.is_match(word)),
            (Fact::Number(number), Relation::OneOfNumbers(values)) => values.contains(&number),
            (Fact::Number(number), Relation::NoneOfNumbers(values)) => !values.contains(&number),
            (Fact::Number(number), Relation::Below(limit)) => number < *limit,
            (Fact::Number(number), Relation::Above(limit)) => number > *limit,
            // The parser compares no word with a number.
            _ => false,
        };
        Truth::of(holds)
    }
}

/// True for what a reply can begin with besides a status word.
pub(super) fn is_mark(value: &[u8]) -> bool {
    matches!(value, [b'+' | b'-', ..]) || (value.len() == 3 && value.iter().all(u8::is_ascii_digit))
}

/// True if a line of the text passes the test, or all of it does.
fn line(text: &[u8], test: impl Fn(&[u8]) -> bool) -> bool {
    test(body(text)) || lines(text).any(|(_, line)| test(line))
}

/// True if one of the names passes the test.
fn named(text: &[u8], items: &[Item], test: impl Fn(&[u8]) -> bool) -> bool {
    items.iter().any(|item| called(item, text, &test).is_some())
}

/// The word for whatever there is, where a text can have several.
const ANY: &[u8] = b"any";

/// True if one of the words is among the values; `any` is every word.
fn several(words: &[&[u8]], values: &[Vec<u8>]) -> bool {
    words.iter().any(|word| among(values, word)) || (!words.is_empty() && among(values, ANY))
}

fn is_route(value: &[u8], number: u32, written: &str) -> bool {
    let digits = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
    digits == Some(number) || value.eq_ignore_ascii_case(written.as_bytes())
}

fn among(values: &[Vec<u8>], word: &[u8]) -> bool {
    values.iter().any(|value| value.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::super::Scene;
    use super::super::fact::Sender;
    use super::*;
    use crate::event::{Form, RouteName, State, Status};
    use crate::wire::imap;

    #[test]
    fn the_table_has_every_word_of_the_nouns() {
        let states = Form::ALL.iter().flat_map(|form| form.states()).chain([&State::Opaque]);
        for state in states.clone() {
            assert!(STATES.contains(&state.word()), "{state:?}");
        }
        for word in STATES {
            assert!(states.clone().any(|state| state.word() == *word), "{word}");
        }
        for status in [Status::Ok, Status::No, Status::Bad, Status::Bye, Status::Preauth] {
            assert!(STATUSES.contains(&status.word()), "{status:?}");
        }
        for peer in [Peer::Client, Peer::Server] {
            assert!(PEERS.contains(&peer.word()));
        }
        for row in FIELDS {
            assert_eq!(row.field.row().word, row.word);
        }
    }

    fn holds(condition: &str, from: Peer, text: &[u8], command: &str) -> bool {
        let condition = super::super::parse::filter(condition).unwrap();
        let reading = imap::read(from, text);
        let route = RouteName { number: 2, written: ":2143=imap://two.example.org".to_owned() };
        let read = |text: &[u8]| Some(imap::read(from, text));
        let scene = Scene {
            state: State::Selected,
            tls: [false, true],
            protocol: "imap",
            connection: 7,
            command,
            client: "10.0.0.7",
            route: Some(&route),
            ..Scene::bare(from, text, Form::Imap, &reading, &read)
        };
        condition.evaluate(&scene) == Truth::Yes
    }

    #[test]
    fn conditions_hold_and_do_not() {
        let code: &[u8] = b"a1 OK [CAPABILITY IMAP4rev1 IDLE] done\r\n";
        let cases: &[(&str, Peer, &[u8], &str, bool)] = &[
            ("from == server", Peer::Server, code, "", true),
            ("from == SERVER", Peer::Server, code, "", true),
            ("from != server", Peer::Server, code, "", false),
            ("from == client || from == server", Peer::Server, code, "", true),
            ("from == client && from == server", Peer::Server, code, "", false),
            ("!(from == client) && !!(conn == 7)", Peer::Server, code, "", true),
            ("from == server && from == client || conn > 6", Peer::Server, code, "", true),
            ("from == server && (from == client || conn > 7)", Peer::Server, code, "", false),
            ("from in {client, server}", Peer::Server, code, "", true),
            ("client ~ \"^10[.]0[.]0[.]\" && client == 10.0.0.7", Peer::Server, code, "", true),
            ("client == 10.0.0.1", Peer::Client, b"a1 NOOP\r\n", "NOOP", false),
            ("route == 2 && route in {1, 2} && route != 1", Peer::Server, code, "", true),
            ("route == 1 || route == 22", Peer::Server, code, "", false),
            ("route ~ two[.]example && route == :2143=IMAP://two.example.org", Peer::Server, code, "", true),
            ("route ~ \"^2$\"", Peer::Server, code, "", false),
            ("conn in {1, 2}", Peer::Server, code, "", false),
            ("tls == server", Peer::Server, code, "", true),
            ("tls in {none, client, both}", Peer::Server, code, "", false),
            ("conn != 8", Peer::Server, code, "", true),
            ("size < 40", Peer::Server, code, "", false),
            ("size == 41", Peer::Server, code, "", code.len() == 41),
            ("size > 40", Peer::Server, code, "", code.len() > 40),
            ("protocol == IMAP", Peer::Server, code, "", true),
            ("state == selected", Peer::Server, code, "", true),
            ("state ~ \"^sel\"", Peer::Server, code, "", true),
            ("tag == A1", Peer::Server, code, "", true),
            ("tag == *", Peer::Server, b"* 3 EXISTS\r\n", "", true),
            ("tag == *", Peer::Server, b"* OK hi\r\n", "", true),
            ("tag == +", Peer::Server, b"+ go\r\n", "", true),
            ("tag == a1", Peer::Client, b"a1 NOOP\r\n", "NOOP", true),
            ("tag == a1", Peer::Client, b"\r\n", "", false),
            ("tag != a1", Peer::Client, b"\r\n", "", false),
            ("status == ok", Peer::Server, code, "", true),
            ("status != OK", Peer::Server, code, "", false),
            ("status != OK", Peer::Server, b"* 3 EXISTS\r\n", "", false),
            ("!(status == OK)", Peer::Server, b"* 3 EXISTS\r\n", "", true),
            ("code == capability", Peer::Server, code, "", true),
            ("code ~ \"capability .*idle$\"", Peer::Server, code, "", true),
            ("code == IDLE", Peer::Server, code, "", false),
            ("capability == idle", Peer::Server, code, "", true),
            ("capability == IDL", Peer::Server, code, "", false),
            ("capability != IDLE", Peer::Server, code, "", false),
            ("capability != QRESYNC", Peer::Server, code, "", true),
            ("capability != QRESYNC", Peer::Server, b"* OK hi\r\n", "", false),
            ("capability in {QRESYNC, IDLE}", Peer::Server, code, "", true),
            ("capability ~ \"^imap4\"", Peer::Server, code, "", true),
            ("text ~ \"done$\"", Peer::Server, code, "", true),
            ("text ~ \"DONE$\"", Peer::Server, code, "", false),
            ("text ~ /DONE$/i", Peer::Server, code, "", true),
            (r#"text ~ "say \"hi\"""#, Peer::Server, b"* OK say \"hi\"\r\n", "", true),
            (r#"text == "* ok say \"hi\"""#, Peer::Server, b"* OK say \"hi\"\r\n", "", true),
            (r"text ~ /a\/b/", Peer::Server, b"* OK a/b\r\n", "", true),
            ("text == \"\"", Peer::Client, b"\r\n", "", true),
            ("command == FETCH", Peer::Client, b"a UID FETCH 1 UID\r\n", "UID FETCH", true),
            ("command == \"uid fetch\"", Peer::Client, b"a UID FETCH 1 UID\r\n", "UID FETCH", true),
            ("command == \"uid fetch\"", Peer::Client, b"a FETCH 1 UID\r\n", "FETCH", false),
            ("command != FETCH", Peer::Client, b"a UID FETCH 1 UID\r\n", "UID FETCH", false),
            ("command != FETCH", Peer::Server, b"* OK\r\n", "", false),
        ];
        for &(condition, from, text, command, expected) in cases {
            assert_eq!(holds(condition, from, text, command), expected, "{condition}");
        }
    }

    #[test]
    fn what_only_the_sender_says_is_conservative() {
        let cases = [
            ("from == server", Truth::No, Truth::Yes),
            ("from != server", Truth::Yes, Truth::No),
            ("!(from == server)", Truth::Yes, Truth::No),
            ("from ~ serv", Truth::No, Truth::Yes),
            ("from in {client}", Truth::Yes, Truth::No),
            ("state == selected", Truth::Maybe, Truth::Maybe),
            ("from == server && state == selected", Truth::No, Truth::Maybe),
            ("from == server || state == selected", Truth::Maybe, Truth::Yes),
            ("!(from == server && state == selected)", Truth::Yes, Truth::Maybe),
            ("status == OK", Truth::No, Truth::Maybe),
            ("!(status == OK)", Truth::Yes, Truth::Maybe),
        ];
        for (text, client, server) in cases {
            let condition = super::super::parse::filter(text).unwrap();
            assert_eq!(condition.evaluate(&Sender(Peer::Client)), client, "{text}");
            assert_eq!(condition.evaluate(&Sender(Peer::Server)), server, "{text}");
        }
    }
}
