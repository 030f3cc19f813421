//! What rules do to replies of several lines, and to the names in them.

use super::super::draft::{BROKEN, LINE_END, TOO_LONG};
use super::super::*;
use super::{rules, scene};
use crate::event::{Kind, List, ListKind};
use crate::wire::{managesieve, status};

/// How a text is read that lists what a server offers.
fn read(form: Form, text: &[u8]) -> Reading {
    match form {
        Form::Codes => Reading { list: Some(status::list(form, text)), ..status::read(Peer::Server, text) },
        Form::Managesieve => managesieve::read(Peer::Server, text),
        _ => Reading { list: Some(status::list(form, text)), ..status::read_pop3(Peer::Server, text) },
    }
}

fn edit(rules: &Rules, form: Form, text: &str, one: bool) -> Option<Edit> {
    let reading = read(form, text.as_bytes());
    rules.edit(
        &scene(Peer::Server, text.as_bytes(), &reading, &|text| one.then(|| read(form, text))),
        &mut rules.begin(1),
    )
}

/// A rule, the lines of a reply with `|` between them, and the lines that are sent instead; `=` if they are the same.
type Case<'a> = (&'a str, &'a str, &'a str);

fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).replace("\r\n", "|")
}

/// Runs the cases; rules are parted by `;`, and one that begins with `--` is an option for a pair of names.
fn check(form: Form, cases: &[Case<'_>]) {
    for (line, text, expected) in cases {
        let sources = line.split(';').flat_map(|line| match line.strip_prefix("--replace-cap ") {
            Some(pair) => Source::options(Options { replace: &[pair.to_string()], ..Options::default() }),
            None => vec![Source::rule(1, line)],
        });
        let rules = Rules::compile(&sources.collect::<Vec<_>>()).unwrap_or_else(|problem| panic!("{problem}"));
        let text = text.replace('|', "\r\n");
        let found = edit(&rules, form, &text, true);
        assert!(found.as_ref().is_none_or(|edit| edit.refused.is_empty()), "{line} on {text}: {found:?}");
        let sent = found.and_then(|edit| edit.bytes).map_or("=".to_string(), |bytes| shown(&bytes));
        assert_eq!(sent, *expected, "{line} on {text}");
    }
}

const EHLO: &str = "250-mx hi|250-SIZE 1000|250-8BITMIME|250-AUTH PLAIN LOGIN|250 HELP|";

#[test]
fn lines_of_smtp_are_dropped() {
    check(
        Form::Codes,
        &[
            ("drop-capability 8bitmime", EHLO, "250-mx hi|250-SIZE 1000|250-AUTH PLAIN LOGIN|250 HELP|"),
            ("drop-capability HELP", EHLO, "250-mx hi|250-SIZE 1000|250-8BITMIME|250 AUTH PLAIN LOGIN|"),
            ("drop-capability SIZE HELP", EHLO, "250-mx hi|250-8BITMIME|250 AUTH PLAIN LOGIN|"),
            ("drop-capability \"SIZE 1000\"", EHLO, "250-mx hi|250-8BITMIME|250-AUTH PLAIN LOGIN|250 HELP|"),
            ("drop-capability \"SIZE 1\" PLAIN mx", EHLO, "="),
            ("drop-capability \"SIZE *\"", EHLO, "250-mx hi|250-8BITMIME|250-AUTH PLAIN LOGIN|250 HELP|"),
            ("drop-capability *", EHLO, "250 mx hi|"),
            ("drop-capability AUTH=PLAIN", EHLO, "250-mx hi|250-SIZE 1000|250-8BITMIME|250-AUTH LOGIN|250 HELP|"),
            ("drop-capability AUTH=login", EHLO, "250-mx hi|250-SIZE 1000|250-8BITMIME|250-AUTH PLAIN|250 HELP|"),
            ("drop-capability AUTH=*", EHLO, "250-mx hi|250-SIZE 1000|250-8BITMIME|250 HELP|"),
            ("drop-capability AUTH", EHLO, "250-mx hi|250-SIZE 1000|250-8BITMIME|250 HELP|"),
            ("drop-capability \"AUTH PLAIN LOGIN\"", EHLO, "250-mx hi|250-SIZE 1000|250-8BITMIME|250 HELP|"),
            ("drop-capability AUTH=A;drop-capability AUTH=C", "250-mx|250 AUTH A B C|", "250-mx|250 AUTH B|"),
            ("drop-capability AUTH=A AUTH=B", "250-mx|250 AUTH A  B C|", "250-mx|250 AUTH C|"),
            ("drop-capability AUTH=B AUTH=C", "250-mx|250 AUTH=A B C|", "250-mx|250 AUTH=A|"),
            ("drop-capability AUTH=A AUTH=B", "250-mx|250-AUTH A C|250 AUTH=A B|", "250-mx|250 AUTH C|"),
            ("drop-capability AUTH", "250-mx|250-AUTH A C|250-AUTH=A B|250 X|", "250-mx|250 X|"),
            ("drop-capability AUTH=*", "250-mx|250-AUTH|250 X|", "="),
            ("drop-capability X=Y", "250-mx|250-X=Y|250-X=Z|250 W|", "250-mx|250-X=Z|250 W|"),
            ("drop-capability X", "250 mx|", "="),
            ("drop-capability mx*", "250-mx|250 X|", "="),
            ("drop-capability X", "250-mx|250 X", "250 mx"),
        ],
    );
}

#[test]
fn lines_of_pop3_are_dropped() {
    let capa = "+OK list|TOP|SASL PLAIN LOGIN|LOGIN-DELAY 900|EXPIRE NEVER USER|.|";
    check(
        Form::Pop3,
        &[
            ("drop-capability TOP", capa, "+OK list|SASL PLAIN LOGIN|LOGIN-DELAY 900|EXPIRE NEVER USER|.|"),
            ("drop-capability \"EXPIRE NEVER USER\"", capa, "+OK list|TOP|SASL PLAIN LOGIN|LOGIN-DELAY 900|.|"),
            ("drop-capability AUTH=PLAIN", capa, "+OK list|TOP|SASL LOGIN|LOGIN-DELAY 900|EXPIRE NEVER USER|.|"),
            ("drop-capability AUTH=PLAIN AUTH=LOGIN", capa, "+OK list|TOP|LOGIN-DELAY 900|EXPIRE NEVER USER|.|"),
            ("drop-capability SASL AUTH=LOGIN", capa, "+OK list|TOP|LOGIN-DELAY 900|EXPIRE NEVER USER|.|"),
            ("drop-capability *", capa, "+OK list|.|"),
            ("drop-capability OK . LIST", capa, "="),
        ],
    );
}

const SIEVE: &str = "\"IMPLEMENTATION\" \"X 1\"|\"SIEVE\" \"fileinto reject\"|\"VERSION\" \"1.0\"|\"SASL\" \"PLAIN LOGIN\"|\"STARTTLS\"|OK \"hi\"|";

#[test]
fn lines_of_managesieve_are_dropped() {
    let start = "\"IMPLEMENTATION\" \"X 1\"|\"SIEVE\" \"fileinto reject\"|\"VERSION\" \"1.0\"|";
    let after = |rest: &str| format!("{start}{rest}OK \"hi\"|");
    check(
        Form::Managesieve,
        &[
            ("drop-capability starttls", SIEVE, &after("\"SASL\" \"PLAIN LOGIN\"|")),
            ("drop-capability AUTH=LOGIN", SIEVE, &after("\"SASL\" \"PLAIN\"|\"STARTTLS\"|")),
            ("drop-capability AUTH=PLAIN", SIEVE, &after("\"SASL\" \"LOGIN\"|\"STARTTLS\"|")),
            ("drop-capability AUTH=*", SIEVE, &after("\"SASL\" \"\"|\"STARTTLS\"|")),
            ("drop-capability AUTH=*;add-capability AUTH=X", SIEVE, &after("\"SASL\" \"X\"|\"STARTTLS\"|")),
            ("drop-capability SASL", SIEVE, &after("\"STARTTLS\"|")),
            ("drop-capability SASL AUTH=*", SIEVE, &after("\"STARTTLS\"|")),
            ("drop-capability STARTTLS \"SASL PLAIN LOGIN\"", SIEVE, &after("")),
            (
                "drop-capability \"SIEVE*reject\" VERSION STARTTLS",
                SIEVE,
                "\"IMPLEMENTATION\" \"X 1\"|\"SASL\" \"PLAIN LOGIN\"|OK \"hi\"|",
            ),
            ("drop-capability *", SIEVE, "OK \"hi\"|"),
            ("drop-capability *;add-capability X", SIEVE, "\"X\"|OK \"hi\"|"),
            ("drop-capability OK", SIEVE, "="),
        ],
    );
}

#[test]
fn only_the_lines_that_are_named_stay() {
    check(
        Form::Codes,
        &[
            ("only-capabilities SIZE", EHLO, "250-mx hi|250 SIZE 1000|"),
            ("only-capabilities \"SIZE 1000\" help", EHLO, "250-mx hi|250-SIZE 1000|250 HELP|"),
            ("only-capabilities AUTH", EHLO, "250-mx hi|250 AUTH PLAIN LOGIN|"),
            ("only-capabilities AUTH=LOGIN", EHLO, "250-mx hi|250 AUTH LOGIN|"),
            ("only-capabilities AUTH AUTH=LOGIN", EHLO, "250-mx hi|250 AUTH PLAIN LOGIN|"),
            ("only-capabilities AUTH=*", EHLO, "250-mx hi|250 AUTH PLAIN LOGIN|"),
            ("only-capabilities AUTH=X", EHLO, "250 mx hi|"),
            ("only-capabilities X", "250-mx|250-IMAP4rev1|250-VERSION|250 X|", "250-mx|250 X|"),
            ("only-capabilities X;add-capability Y", EHLO, "250-mx hi|250 Y|"),
        ],
    );
    check(
        Form::Pop3,
        &[
            ("only-capabilities STLS AUTH=B", "+OK|STLS|TOP|SASL A B C|USER|.|", "+OK|STLS|SASL B|.|"),
            ("only-capabilities X", "+OK|VERSION 2|TOP|.|", "+OK|.|"),
            ("only-capabilities X", "+OK|.|", "="),
        ],
    );
    check(
        Form::Line,
        &[
            ("only-capabilities X", "101 list:|VERSION 2|READER|X|.|", "101 list:|VERSION 2|X|.|"),
            (
                "add-capability \"OVER MSGID\" READER",
                "101 list:|VERSION 2|READER|.|",
                "101 list:|VERSION 2|READER|OVER MSGID|.|",
            ),
            ("drop-capability READER", "101 list:|VERSION 2|READER|.|", "101 list:|VERSION 2|.|"),
        ],
    );
    let start = "\"IMPLEMENTATION\" \"X 1\"|\"SIEVE\" \"fileinto reject\"|\"VERSION\" \"1.0\"|";
    check(
        Form::Managesieve,
        &[
            ("only-capabilities STARTTLS", SIEVE, &format!("{start}\"STARTTLS\"|OK \"hi\"|")),
            ("only-capabilities AUTH=LOGIN", SIEVE, &format!("{start}\"SASL\" \"LOGIN\"|OK \"hi\"|")),
            ("only-capabilities SIEVE", SIEVE, "\"SIEVE\" \"fileinto reject\"|OK \"hi\"|"),
            ("only-capabilities \"VERSION 1.0\"", SIEVE, "\"VERSION\" \"1.0\"|OK \"hi\"|"),
            ("only-capabilities *", SIEVE, "="),
        ],
    );
}

#[test]
fn lines_are_replaced() {
    check(
        Form::Codes,
        &[
            ("replace-capability SIZE MAX", EHLO, "250-mx hi|250-MAX 1000|250-8BITMIME|250-AUTH PLAIN LOGIN|250 HELP|"),
            (
                "replace-capability size \"Size 7\"",
                EHLO,
                "250-mx hi|250-Size 7|250-8BITMIME|250-AUTH PLAIN LOGIN|250 HELP|",
            ),
            (
                "replace-capability \"SIZE 1000\" SIZE",
                EHLO,
                "250-mx hi|250-SIZE|250-8BITMIME|250-AUTH PLAIN LOGIN|250 HELP|",
            ),
            ("replace-capability \"SIZE 10\" SIZE", EHLO, "="),
            (
                "replace-capability HELP help",
                EHLO,
                "250-mx hi|250-SIZE 1000|250-8BITMIME|250-AUTH PLAIN LOGIN|250 help|",
            ),
            ("replace-capability HELP HELP", EHLO, "="),
            (
                "--replace-cap SIZE 1000=SIZE 7",
                EHLO,
                "250-mx hi|250-SIZE 7|250-8BITMIME|250-AUTH PLAIN LOGIN|250 HELP|",
            ),
            ("--replace-cap SIZE=SIZE 7", EHLO, "250-mx hi|250-SIZE 7|250-8BITMIME|250-AUTH PLAIN LOGIN|250 HELP|"),
            (
                "--replace-cap AUTH=PLAIN AUTH=XOAUTH2",
                EHLO,
                "250-mx hi|250-SIZE 1000|250-8BITMIME|250-AUTH XOAUTH2 LOGIN|250 HELP|",
            ),
            (
                "--replace-cap AUTH=PLAIN=AUTH=login",
                EHLO,
                "250-mx hi|250-SIZE 1000|250-8BITMIME|250-AUTH LOGIN|250 HELP|",
            ),
            ("replace-capability AUTH=* AUTH=X", EHLO, "250-mx hi|250-SIZE 1000|250-8BITMIME|250-AUTH X|250 HELP|"),
            (
                "replace-capability AUTH=LOGIN Y",
                EHLO,
                "250-mx hi|250-SIZE 1000|250-8BITMIME|250-AUTH PLAIN|250-HELP|250 Y|",
            ),
            ("replace-capability AUTH=* Y", EHLO, "250-mx hi|250-SIZE 1000|250-8BITMIME|250-HELP|250 Y|"),
            ("replace-capability HELP AUTH=Y", EHLO, "250-mx hi|250-SIZE 1000|250-8BITMIME|250 AUTH PLAIN LOGIN Y|"),
            ("replace-capability AUTH XAUTH", "250-mx|250-AUTH A|250 AUTH=A|", "250-mx|250 XAUTH A|"),
            ("replace-capability A B", "250-mx|250-A 1|250 B 2|", "250-mx|250 B 2|"),
        ],
    );
    check(
        Form::Pop3,
        &[
            ("replace-capability TOP PIPELINING", "+OK|TOP|UIDL|.|", "+OK|PIPELINING|UIDL|.|"),
            ("replace-capability AUTH=A AUTH=B", "+OK|SASL A C|.|", "+OK|SASL B C|.|"),
            ("replace-capability AUTH=A STLS", "+OK|SASL A|TOP|.|", "+OK|TOP|STLS|.|"),
        ],
    );
    let head = "\"IMPLEMENTATION\" \"X 1\"|";
    let tail = "\"SASL\" \"PLAIN LOGIN\"|\"STARTTLS\"|OK \"hi\"|";
    check(
        Form::Managesieve,
        &[
            (
                "replace-capability SIEVE \"SIEVE vacation\"",
                SIEVE,
                &format!("{head}\"SIEVE\" \"vacation\"|\"VERSION\" \"1.0\"|{tail}"),
            ),
            (
                "replace-capability \"SIEVE fileinto reject\" S",
                SIEVE,
                &format!("{head}\"S\"|\"VERSION\" \"1.0\"|{tail}"),
            ),
            (
                "replace-capability VERSION V",
                SIEVE,
                &format!("{head}\"SIEVE\" \"fileinto reject\"|\"V\" \"1.0\"|{tail}"),
            ),
            ("replace-capability AUTH=LOGIN AUTH=X", "\"SASL\" \"PLAIN LOGIN\"|OK|", "\"SASL\" \"PLAIN X\"|OK|"),
            (
                "replace-capability AUTH=LOGIN NOTIFY",
                "\"SASL\" \"LOGIN\"|\"A\"|OK|",
                "\"SASL\" \"\"|\"A\"|\"NOTIFY\"|OK|",
            ),
            ("replace-capability STARTTLS AUTH=X", "\"SASL\" \"LOGIN\"|\"STARTTLS\"|OK|", "\"SASL\" \"LOGIN X\"|OK|"),
        ],
    );
}

#[test]
fn lines_are_added() {
    check(
        Form::Codes,
        &[
            ("add-capability X", EHLO, "250-mx hi|250-SIZE 1000|250-8BITMIME|250-AUTH PLAIN LOGIN|250-HELP|250 X|"),
            ("add-capability help 8BITMIME", EHLO, "="),
            ("add-capability \"SIZE 7\"", EHLO, "="),
            ("add-capability \"Limits A=1\" Y", "250 mx|", "250-mx|250-Limits A=1|250 Y|"),
            ("add-capability X", "250 mx", "250-mx|250 X"),
            ("add-capability X", "250|", "250-|250 X|"),
            ("add-capability AUTH=X", EHLO, "250-mx hi|250-SIZE 1000|250-8BITMIME|250-AUTH PLAIN LOGIN X|250 HELP|"),
            ("add-capability AUTH=plain", EHLO, "="),
            ("add-capability AUTH=X", "250-mx|250-AUTH=A|250 AUTH A B|", "250-mx|250-AUTH=A|250 AUTH A B X|"),
            ("add-capability AUTH=X", "250-mx|250-AUTH=A|250 B|", "250-mx|250-AUTH=A X|250 B|"),
            ("add-capability AUTH=X AUTH=Y", "250 mx|", "250-mx|250 AUTH X Y|"),
            ("add-capability AUTH=X", "250-mx|250 AUTH|", "250-mx|250 AUTH X|"),
            ("add-capability X;drop-capability X", EHLO, "="),
            ("drop-capability HELP;add-capability HELP", EHLO, "="),
        ],
    );
    check(
        Form::Pop3,
        &[
            ("add-capability STLS \"EXPIRE 5\"", "+OK|TOP|.|", "+OK|TOP|STLS|EXPIRE 5|.|"),
            ("add-capability top", "+OK|TOP|.|", "="),
            ("add-capability AUTH=X", "+OK|TOP|.|", "+OK|TOP|SASL X|.|"),
            ("add-capability AUTH=X", "+OK|SASL A|TOP|.|", "+OK|SASL A X|TOP|.|"),
            ("add-capability X", "+OK|.|", "+OK|X|.|"),
            ("add-capability .x", "+OK|.|", "+OK|..x|.|"),
        ],
    );
    check(
        Form::Managesieve,
        &[
            ("add-capability X \"NOTIFY mailto xmpp\"", "\"A\"|OK|", "\"A\"|\"X\"|\"NOTIFY\" \"mailto xmpp\"|OK|"),
            ("add-capability a", "\"A\"|OK|", "="),
            ("add-capability AUTH=X", "\"A\"|OK|", "\"A\"|\"SASL\" \"X\"|OK|"),
            ("add-capability AUTH=X", "\"SASL\" \"\"|OK|", "\"SASL\" \"X\"|OK|"),
            ("add-capability AUTH=X", "\"SASL\" \"A\"|OK|", "\"SASL\" \"A X\"|OK|"),
        ],
    );
}

#[test]
fn line_ends_are_those_of_the_first_line() {
    let with =
        |line: &str, form, text: &str| edit(&rules(&[line]), form, text, true).and_then(|edit| edit.bytes).unwrap();
    assert_eq!(with("add-capability X", Form::Codes, "250-a\n250 b\n"), b"250-a\n250-b\n250 X\n");
    assert_eq!(with("add-capability X", Form::Pop3, "+OK\n.\r\n"), b"+OK\nX\n.\r\n");
    assert_eq!(with("drop-capability B", Form::Codes, "250-a\n250 b\r\n"), b"250 a\r\n");
}

#[test]
fn substitutions_see_one_line_at_a_time() {
    let ehlo = "250-a ab|250-b|250 a|";
    check(
        Form::Codes,
        &[
            ("s/a/x/", ehlo, "250-x ab|250-b|250 x|"),
            ("s/a/x/2", ehlo, "250-a xb|250-b|250 a|"),
            ("s/a/x/g", ehlo, "250-x xb|250-b|250 x|"),
            ("s/^250./&!/", ehlo, "250-!a ab|250-!b|250 !a|"),
            ("s/b$/c/", ehlo, "250-a ac|250-c|250 a|"),
            ("s/\\s*$/./", ehlo, "250-a ab.|250-b.|250 a.|"),
            ("s/a.*b.*a/x/", ehlo, "="),
            ("s/(?s)a.*/x/", ehlo, "250-x|250-b|250 x|"),
            ("s/[^0-9]+/+/", ehlo, "250+|250+|250+|"),
            ("s/b/AUTH Z/;drop-capability AUTH", "250-mx|250-b|250 c|", "250-mx|250 c|"),
        ],
    );
}

#[test]
fn what_would_not_be_one_text_is_refused() {
    let refused = |line: &str, form, text: &str, one| {
        let edit = edit(&rules(&[line]), form, text, one).expect("the rule matches");
        assert_eq!((&edit.bytes, edit.refused.len()), (&None, 1), "{line}");
        edit.refused[0].1.clone()
    };
    let ends = "it would change where the reply ends";
    assert_eq!(refused("s/250-/250 /", Form::Codes, "250-a\r\n250 b\r\n", false), ends);
    assert_eq!(refused("add-capability X", Form::Codes, "250-a\r\n250 b\r\n", false), ends);
    assert_eq!(refused("s/x$//", Form::Codes, "250-a\rx\n250 b\r\n", true), LINE_END);
    assert_eq!(refused("s/a(.)/&\\1/", Form::Codes, "250-a\rx\n250 b\r\n", true), BROKEN);
    let long = format!("250-a\r\n{}250 b\r\n", "250-x\r\n".repeat(9360));
    assert_eq!(refused("add-capability 1234567890", Form::Codes, &long, true), TOO_LONG);
    assert_eq!(refused("s/x/&&&/", Form::Codes, &long, true), TOO_LONG);
}

#[test]
fn a_list_on_one_line_has_no_blank_in_its_names() {
    let text = b"* CAPABILITY A\r\n";
    for line in ["add-capability \"A B\"", "replace-capability A \"B C\""] {
        let edit = super::edit(&rules(&[line]), Peer::Server, std::str::from_utf8(text).unwrap()).unwrap();
        assert_eq!(edit.refused[0].1, "a name in this list has no blank");
    }
}

#[test]
fn conditions_look_at_all_lines() {
    let cases = [
        (Form::Codes, EHLO, "status == 250 && status == OK && !(status != 250) && status != 251 && tag == *", true),
        (Form::Codes, EHLO, "status ~ \"^25.$\" && status ~ OK && status in {NO, 250}", true),
        (Form::Codes, EHLO, "capability == AUTH=PLAIN && capability == \"SIZE 1000\" && capability == size", true),
        (Form::Codes, EHLO, "capability == PLAIN || capability != AUTH=LOGIN || capability == mx", false),
        (Form::Codes, EHLO, "text ~ \"^250-AUTH .*LOGIN$\" && text == \"250 HELP\" && size > 60", true),
        (Form::Codes, EHLO, "text ~ \"SIZE.*HELP\" || text != \"250-8BITMIME\"", false),
        (Form::Codes, "550-5.7.1 no|550 5.7.1 way|", "code == 5.7.1 && status == 550 && status == BAD", true),
        (Form::Codes, "354 go|", "status == 354 && status != 250 && status ~ 3", true),
        (Form::Codes, "354 go|", "status == OK || status != OK", false),
        (Form::Codes, "101 list|", "status == 101", true),
        (Form::Pop3, "-ERR [IN-USE] x|", "status == -ERR && status == BAD && code == in-use", true),
        (Form::Pop3, "+ |", "status == + && !(status ~ x)", true),
        (Form::Pop3, "+ |", "status ~ \".\"", false),
        (Form::Pop3, "+OK|SASL A|.|", "status == +ok && capability == AUTH=A && text == .", true),
        (Form::Managesieve, SIEVE, "status == OK && capability == \"SIEVE fileinto reject\"", true),
        (Form::Managesieve, SIEVE, "capability == AUTH=LOGIN && capability ~ \"^auth=p\"", true),
        (Form::Managesieve, "NO (QUOTA \"x\") \"full\"|", "code == QUOTA && status == NO && status != OK", true),
    ];
    for (form, text, condition, expected) in cases {
        let rules = rules(&[&format!("s/^/!/ when {condition}")]);
        let text = text.replace('|', "\r\n");
        assert_eq!(edit(&rules, form, &text, true).is_some(), expected, "{condition} on {text}");
    }
}

#[test]
fn a_reply_is_a_list_only_where_it_is_read_as_one() {
    let text = b"250-mx\r\n250 X\r\n";
    let reading = status::read(Peer::Server, text);
    assert!(matches!(reading.kind, Kind::Reply { .. }) && reading.list.is_none());
    let rules = rules(&["drop-capability X", "add-capability Y"]);
    assert_eq!(
        rules.edit(
            &scene(Peer::Server, text, &reading, &|text| Some(status::read(Peer::Server, text))),
            &mut rules.begin(1)
        ),
        None
    );
    let empty = List { kind: ListKind::Lines(Form::Codes), whole: crate::event::Span::new(8, 15), items: Vec::new() };
    assert_eq!(super::super::lines::act(&NamesAction::Drop(Vec::new(), false), Form::Codes, &empty, text), text);
}
