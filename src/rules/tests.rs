//! What rules do to texts, case by case.

mod lines;
mod vary;

use super::draft::TOO_LONG;
use super::*;
use crate::event::{Kind, MAX_TEXT};
use crate::wire::imap;

fn rules(lines: &[&str]) -> Rules {
    let sources: Vec<Source> = lines.iter().enumerate().map(|(at, line)| Source::rule(at + 1, line)).collect();
    Rules::compile(&sources).unwrap_or_else(|problem| panic!("{problem}"))
}

fn edit_as(rules: &Rules, from: Peer, text: &[u8], read: fn(Peer, &[u8]) -> Reading) -> Option<Edit> {
    let reading = read(from, text);
    rules.edit(&scene(from, text, &reading, &|text| Some(read(from, text))), &mut rules.begin(1))
}

fn scene<'a>(
    from: Peer,
    text: &'a [u8],
    reading: &'a Reading,
    read: &'a dyn Fn(&[u8]) -> Option<Reading>,
) -> Scene<'a> {
    Scene { state: State::Selected, protocol: "imap", ..Scene::bare(from, text, Form::Imap, reading, read) }
}

fn edit(rules: &Rules, from: Peer, text: &str) -> Option<Edit> {
    edit_as(rules, from, text.as_bytes(), imap::read)
}

/// What is sent instead of `text`, from the server, or from the client if it begins with `C: `.
fn sent(lines: &[&str], text: &str) -> String {
    let (from, text) = text.strip_prefix("C: ").map_or((Peer::Server, text), |text| (Peer::Client, text));
    let edit = edit(&rules(lines), from, text);
    if let Some(edit) = &edit {
        assert_eq!(edit.refused, [], "{lines:?} on {text:?}");
        assert!(!edit.fired.is_empty(), "{lines:?} on {text:?}");
        assert_ne!(edit.bytes.as_deref(), Some(text.as_bytes()), "an edit that changes nothing is none");
    }
    edit.and_then(|edit| edit.bytes).map_or("=".to_string(), |bytes| String::from_utf8(bytes).unwrap())
}

/// Rules, a text, and what is sent instead; `=` where it stays as it is.
type Case<'a> = (&'a [&'a str], &'a str, &'a str);

fn check(cases: &[Case<'_>]) {
    for (lines, text, expected) in cases {
        assert_eq!(sent(lines, text), *expected, "{lines:?} on {text:?}");
    }
}

#[test]
fn names_are_dropped_wherever_they_are_listed() {
    let drop: &[&str] = &["drop-capability IDLE"];
    check(&[
        (drop, "* CAPABILITY IMAP4rev1 IDLE NAMESPACE\r\n", "* CAPABILITY IMAP4rev1 NAMESPACE\r\n"),
        (drop, "* CAPABILITY IDLE IMAP4rev1\r\n", "* CAPABILITY IMAP4rev1\r\n"),
        (drop, "* CAPABILITY IMAP4rev1 IDLE\r\n", "* CAPABILITY IMAP4rev1\r\n"),
        (drop, "* CAPABILITY IDLE\r\n", "* CAPABILITY\r\n"),
        (drop, "* capability imap4rev1 idle\r\n", "* capability imap4rev1\r\n"),
        (drop, "* CAPABILITY IDLE X IDLE Idle\r\n", "* CAPABILITY X\r\n"),
        (drop, "* CAPABILITY  IMAP4rev1  IDLE   X  \r\n", "* CAPABILITY  IMAP4rev1   X  \r\n"),
        (drop, "* CAPABILITY A IDLE\n", "* CAPABILITY A\n"),
        (drop, "* CAPABILITY A IDLE", "* CAPABILITY A"),
        (drop, "* OK [CAPABILITY IMAP4rev1 IDLE] hi IDLE\r\n", "* OK [CAPABILITY IMAP4rev1] hi IDLE\r\n"),
        (drop, "* PREAUTH [CAPABILITY IDLE A] hi\r\n", "* PREAUTH [CAPABILITY A] hi\r\n"),
        (drop, "* BYE [CAPABILITY IDLE A] hi\r\n", "* BYE [CAPABILITY A] hi\r\n"),
        (drop, "a1 OK [CAPABILITY A IDLE] in\r\n", "a1 OK [CAPABILITY A] in\r\n"),
        (drop, "a1 NO [CAPABILITY A IDLE] out\r\n", "a1 NO [CAPABILITY A] out\r\n"),
        (drop, "* OK [CAPABILITY IDLE] hi\r\n", "* OK hi\r\n"),
        (drop, "* OK [CAPABILITY IDLE]\r\n", "* OK \r\n"),
        (drop, "* ENABLED IDLE X\r\n", "* ENABLED X\r\n"),
        (drop, "* ENABLED IDLE\r\n", "* ENABLED\r\n"),
        (drop, "* CAPABILITY IDLEX XIDLE IDLE=1 UNIDLE\r\n", "="),
        (drop, "* OK IDLE [CAPABILITY IDLE]\r\n", "="),
        (drop, "* OK [ALERT] IDLE\r\n", "="),
        (drop, "* LIST () \"/\" IDLE\r\n", "="),
        (drop, "* 3 CAPABILITY IDLE\r\n", "="),
        (drop, "C: a1 IDLE\r\n", "="),
        (&["drop-capability UNSELECT"], "* CAPABILITY UNSELECTFOO UNSELECT\r\n", "* CAPABILITY UNSELECTFOO\r\n"),
        (&["drop-capability auth=*, SASL-IR"], "* CAPABILITY AUTH=PLAIN A SASL-IR AUTH=X\r\n", "* CAPABILITY A\r\n"),
    ]);
}

#[test]
fn the_client_cannot_enable_what_it_was_not_offered() {
    let drop: &[&str] = &["drop-capability CONDSTORE,QRESYNC"];
    check(&[
        (drop, "C: a1 ENABLE CONDSTORE UTF8=ACCEPT\r\n", "a1 ENABLE UTF8=ACCEPT\r\n"),
        (drop, "C: a1 enable UTF8=ACCEPT  qresync\r\n", "a1 enable UTF8=ACCEPT\r\n"),
        (drop, "C: a1 ENABLE CONDSTORE\r\n", "a1 ENABLE X-HIDDEN\r\n"),
        (drop, "C: a1 ENABLE CONDSTORE  QRESYNC\r\n", "a1 ENABLE  X-HIDDEN\r\n"),
        (drop, "C: a1 ENABLE\r\n", "="),
        (&["drop-capability A", "drop-capability B"], "C: a1 ENABLE A B\r\n", "a1 ENABLE X-HIDDEN\r\n"),
        (&["add-capability X"], "C: a1 ENABLE A\r\n", "="),
        (&["drop-capability X", "add-capability X"], "C: a1 ENABLE A X\r\n", "="),
        (&["only-capabilities IDLE"], "C: a1 ENABLE CONDSTORE IMAP4rev2\r\n", "a1 ENABLE IMAP4rev2\r\n"),
        (&["only-capabilities CONDSTORE"], "C: a1 ENABLE CONDSTORE QRESYNC\r\n", "a1 ENABLE CONDSTORE\r\n"),
        (&["replace-capability QRESYNC X"], "C: a1 ENABLE QRESYNC X\r\n", "a1 ENABLE X\r\n"),
        (&["add-capability X"], "* ENABLED A\r\n", "="),
    ]);
}

#[test]
fn names_are_added_once_and_at_the_end() {
    let add: &[&str] = &["add-capability IDLE"];
    check(&[
        (add, "* CAPABILITY IMAP4rev1\r\n", "* CAPABILITY IMAP4rev1 IDLE\r\n"),
        (add, "* CAPABILITY IMAP4rev1  \r\n", "* CAPABILITY IMAP4rev1 IDLE  \r\n"),
        (add, "* CAPABILITY\r\n", "* CAPABILITY IDLE\r\n"),
        (add, "* CAPABILITY \r\n", "* CAPABILITY IDLE \r\n"),
        (add, "* CAPABILITY idle X\r\n", "="),
        (add, "* OK [CAPABILITY A] hi\r\n", "* OK [CAPABILITY A IDLE] hi\r\n"),
        (add, "* OK [CAPABILITY ] hi\r\n", "* OK [CAPABILITY IDLE ] hi\r\n"),
        (add, "* OK hi\r\n", "="),
        (&["add-capability A B, A"], "* CAPABILITY B\r\n", "* CAPABILITY B A\r\n"),
    ]);
}

#[test]
fn only_what_is_named_stays() {
    check(&[
        (&["only-capabilities IDLE"], "* CAPABILITY IMAP4rev1 A IDLE B\r\n", "* CAPABILITY IMAP4rev1 IDLE\r\n"),
        (&["only-capabilities IDLE"], "* CAPABILITY imap4REV2 IMAP4 IMAP4x\r\n", "* CAPABILITY imap4REV2 IMAP4\r\n"),
        (&["only-capabilities IMAP4rev1"], "* CAPABILITY IMAP4rev2 IMAP4rev1 A\r\n", "* CAPABILITY IMAP4rev1\r\n"),
        (&["only-capabilities IMAP4rev*"], "* CAPABILITY IMAP4rev1 A IMAP4\r\n", "* CAPABILITY IMAP4rev1\r\n"),
        (&["only-capabilities IDLE X"], "* CAPABILITY IMAP4rev1 IDLE\r\n", "="),
        (&["only-capabilities X"], "* OK [CAPABILITY A B] hi\r\n", "* OK hi\r\n"),
        (&["only-capabilities *"], "* CAPABILITY A B\r\n", "="),
    ]);
}

#[test]
fn names_are_replaced_in_their_place() {
    let replace: &[&str] = &["replace-capability LITERAL+ LITERAL-"];
    check(&[
        (replace, "* CAPABILITY A  literal+ B\r\n", "* CAPABILITY A  LITERAL- B\r\n"),
        (replace, "* OK [CAPABILITY LITERAL+] B\r\n", "* OK [CAPABILITY LITERAL-] B\r\n"),
        (replace, "* CAPABILITY A LITERAL-\r\n", "="),
        (replace, "* CAPABILITY LITERAL+ LITERAL-\r\n", "* CAPABILITY LITERAL-\r\n"),
        (replace, "* CAPABILITY LITERAL+ A LITERAL+\r\n", "* CAPABILITY LITERAL- A\r\n"),
        (replace, "* ENABLED LITERAL+ A\r\n", "* ENABLED A\r\n"),
        (&["replace-capability idle Idle"], "* CAPABILITY IDLE idle Idle\r\n", "* CAPABILITY Idle\r\n"),
        (&["replace-capability idle Idle"], "* CAPABILITY Idle A\r\n", "="),
        (&["replace-capability AUTH=* AUTH=X"], "* CAPABILITY AUTH=A B AUTH=X\r\n", "* CAPABILITY AUTH=X B\r\n"),
    ]);
}

#[test]
fn rules_compose_in_their_order() {
    check(&[
        (&["drop-capability IDLE", "add-capability X"], "* OK [CAPABILITY IDLE] hi\r\n", "* OK [CAPABILITY X] hi\r\n"),
        (&["add-capability X", "drop-capability X"], "* CAPABILITY A\r\n", "="),
        (&["add-capability X", "only-capabilities X"], "* CAPABILITY A B\r\n", "* CAPABILITY X\r\n"),
        (&["replace-capability A B", "drop-capability B"], "* CAPABILITY A C\r\n", "* CAPABILITY C\r\n"),
        (&["replace-capability A B", "replace-capability B C"], "* CAPABILITY A\r\n", "* CAPABILITY C\r\n"),
        (&["s/CAPA/CAPABILITY/", "drop-capability A"], "* CAPA A B\r\n", "* CAPABILITY B\r\n"),
        (&["drop-capability A", "s/ABILITY B/X/"], "* CAPABILITY A B\r\n", "* CAPX\r\n"),
        (&["drop-capability A", "s/$/ A/", "drop-capability B"], "* CAPABILITY A B\r\n", "* CAPABILITY A\r\n"),
        (&["s/B/b/", "s/b/B/"], "* CAPABILITY A B\r\n", "="),
    ]);
    // The condition of the second rule is about what was received.
    let both: &[&str] = &["s/one/two/", "s/$/!/ when text ~ one"];
    check(&[(both, "* OK one\r\n", "* OK two!\r\n")]);
}

#[test]
fn lines_are_edited_as_sed_does() {
    let blog: &[&str] = &[r"s/^\* CAPABILITY .*/* CAPABILITY IMAP4rev1 STARTTLS/ when from == server"];
    check(&[
        (blog, "* CAPABILITY IMAP4rev1 IDLE\r\n", "* CAPABILITY IMAP4rev1 STARTTLS\r\n"),
        (blog, "* CAPABILITY IMAP4rev1 IDLE\n", "* CAPABILITY IMAP4rev1 STARTTLS\n"),
        (blog, "* CAPABILITY IMAP4rev1 STARTTLS\r\n", "="),
        (blog, "C: * CAPABILITY A\r\n", "="),
        (&["s/a/x/"], "* OK aAa\r\n", "* OK xAa\r\n"),
        (&["s/a/x/g"], "* OK aAa\r\n", "* OK xAx\r\n"),
        (&["s/a/x/2"], "* OK aAa\r\n", "* OK aAx\r\n"),
        (&["s/a/x/2gi"], "* OK aAa\r\n", "* OK axx\r\n"),
        (&["s/a/x/12"], "* OK aAa\r\n", "="),
        (&["s/A/x/I"], "* OK aAa\r\n", "* OK xAa\r\n"),
        (&[r"s/(a)(b)?/[\1\2&\&\0\\]/"], "* OK a\r\n", "* OK [aa&a\\]\r\n"),
        (&["s/x*/-/g"], "+ abc\r\n", "-+- -a-b-c-\r\n"),
        (&["s/$/ end/"], "* OK hi\r\n", "* OK hi end\r\n"),
        (&["s/.$//"], "* OK hi", "* OK h"),
        (&["s/.*hi/*/"], "* OK hi\r\n", "*\r\n"),
        (&["s|/|\\||g"], "* OK a/b/c\r\n", "* OK a|b|c\r\n"),
        (&[r"s|a\|b|x|"], "* OK a|b\r\n", "* OK x\r\n"),
        (&[r"s/\//x/"], "* OK a/b\r\n", "* OK axb\r\n"),
        (&["s/[/]/x/"], "* OK a/b\r\n", "* OK axb\r\n"),
        (&["s/[^]/]/x/"], "]/b\r\n", "]/x\r\n"),
        (&["s,a,\\,,"], "* OK a\r\n", "* OK ,\r\n"),
        (&["s&a&\\&b&"], "* OK a\r\n", "* OK &b\r\n"),
        (&["s#a#\\t#"], "* OK a\r\n", "* OK \t\r\n"),
        (&["s/a/é/"], "* OK a\r\n", "* OK é\r\n"),
        (&["s/\\xe9/e/"], "* OK é\r\n", "="),
    ]);
    let latin = edit_as(&rules(&[r"s/\xe9./e/"]), Peer::Server, b"* OK \xe9\xffX\r\n", imap::read);
    assert_eq!(latin.and_then(|edit| edit.bytes).as_deref(), Some(&b"* OK eX\r\n"[..]));
}

/// A text, and why a rule is not applied to it.
fn refusal(line: &str, text: &[u8], read: fn(Peer, &[u8]) -> Reading) -> String {
    let edit = edit_as(&rules(&[line]), Peer::Server, text, read).expect("the rule matches");
    assert_eq!((&edit.bytes, &edit.fired[..]), (&None, &[][..]), "{line}");
    assert_eq!(edit.refused.len(), 1);
    assert_eq!(&*edit.refused[0].0, line);
    edit.refused[0].1.clone()
}

#[test]
fn what_would_break_the_framing_is_refused() {
    let literal = "it would change the literal that the text announces";
    for line in ["s/3/4/", "s/\\{3\\}//", "s/\\{/~{/", "s/\\}/+}/", "s/\\(BODY/\"/", "s/ FETCH.*//"] {
        assert_eq!(refusal(line, b"* 1 FETCH (BODY[] {3}\r\n", imap::read), literal, "{line}");
    }
    assert_eq!(refusal("s/hi/{3}/", b"* LIST hi\r\n", imap::read), literal);
    assert_eq!(refusal("s/hi/{3}/", b" hi\r\n", |_, text| imap::read_more(text)), literal);
    assert_eq!(refusal("drop-capability \"A*\"", b"* CAPABILITY A\" {3}\r\n", imap::read), literal);
    let broken = "it would put a line break or a NUL into the text";
    assert_eq!(refusal("s/a(.)b/\\1\\1/", b"* OK a\rb\r\n", imap::read), broken);
    assert_eq!(refusal("s/a(.)b/\\1\\1/", b"* OK a\0b\r\n", imap::read), broken);
    assert_eq!(refusal("s/x//", b"* OK a\rx\n", imap::read), "it would change the line end");
    for rule in ["s/.*//", "s/.*/ /"] {
        assert!(refusal(rule, b"* OK hi\r\n", imap::read).starts_with("it would leave an empty line"), "{rule}");
    }
    let long = [b"* CAPABILITY ", &[b'a'; MAX_TEXT - 15][..], b"\r\n"].concat();
    assert_eq!(long.len(), MAX_TEXT);
    assert_eq!(refusal("s/a/aa/", &long, imap::read), TOO_LONG);
    assert_eq!(refusal("s/a/&&&&&&&&&&&&&&&&&&&&&&&&/g", &long, imap::read), TOO_LONG);
    assert_eq!(refusal("add-capability X", &long, imap::read), TOO_LONG);
}

#[test]
fn a_refused_rule_leaves_the_others_alone() {
    let rules = rules(&["drop-capability A", "s/ C$/ {3}/", "add-capability D"]);
    let edit = edit(&rules, Peer::Server, "* CAPABILITY A B C\r\n").unwrap();
    assert_eq!(edit.bytes.as_deref(), Some(&b"* CAPABILITY B C D\r\n"[..]));
    assert_eq!(edit.fired.iter().map(|rule| &**rule).collect::<Vec<_>>(), ["drop-capability A", "add-capability D"]);
    assert_eq!(edit.refused.iter().map(|(rule, _)| &**rule).collect::<Vec<_>>(), ["s/ C$/ {3}/"]);
}

#[test]
fn debug_output_holds_no_octets() {
    let (rules, text) = (rules(&["s/a1/b1/"]), "a1 LOGIN bob hunter2\r\n");
    let shown = format!("{:?}", edit(&rules, Peer::Client, text));
    assert!(shown.contains("octets: Some(22), fired: [\"s/a1/b1/\"]"), "{shown}");
    let reading = imap::read(Peer::Client, text.as_bytes());
    let shown = format!("{:?}", scene(Peer::Client, text.as_bytes(), &reading, &|_| None));
    assert_eq!(shown, "Scene { from: Client, octets: 22, state: Selected }");
}

#[test]
fn a_literal_in_a_list_stays_announced() {
    check(&[(&["drop-capability A", "add-capability B"], "* CAPABILITY A {3}\r\n", "* CAPABILITY B {3}\r\n")]);
    check(&[(&["s/FETCH/fetch/"], "* 1 FETCH (BODY[] ~{3}\r\n", "* 1 fetch (BODY[] ~{3}\r\n")]);
}

#[test]
fn conditions_pin_lanes() {
    let cases: &[(&[&str], bool, bool)] = &[
        (&[], false, false),
        (&["drop-capability IDLE"], true, true),
        (&["add-capability IDLE"], false, true),
        (&["add-capability IDLE", "s/a/b/ when from == client"], true, true),
        (&["s/a/b/"], true, true),
        (&["s/a/b/ when from == server"], false, true),
        (&["s/a/b/ when from == client"], true, false),
        (&["s/a/b/ when from != client && state == selected"], false, true),
        (&["s/a/b/ when from == client || state == selected"], true, true),
        (&["s/a/b/ when !(from == client)"], false, true),
        (&["s/a/b/ when status == OK"], false, true),
        (&["s/a/b/ when from == client && from == server"], false, false),
    ];
    for (lines, client, server) in cases {
        let rules = rules(lines);
        assert_eq!(rules.touches(Peer::Client), *client, "{lines:?}");
        assert_eq!(rules.touches(Peer::Server), *server, "{lines:?}");
    }
}

#[test]
fn options_read_like_what_the_user_wrote() {
    let own = |values: &[&str]| values.iter().map(|value| (*value).to_string()).collect::<Vec<_>>();
    let (only, drop) = (own(&["IMAP4rev1,A", "B,IDLE"]), own(&["IDLE,AUTH=*", "X"]));
    let (replace, add) = (own(&["A=C", "AUTH=X=AUTH=Y", "B D=1"]), own(&["E"]));
    let sources =
        Source::options(Options { like: None, only: &only, drop: &drop, replace: &replace, add: &add, hide: &[] });
    let rules = Rules::compile(&sources).unwrap();
    let names: Vec<&str> = rules.names().map(|name| &**name).collect();
    assert_eq!(
        names,
        [
            "--only-caps IMAP4rev1,A,B,IDLE",
            "--drop-cap IDLE,AUTH=*",
            "--drop-cap X",
            "--replace-cap A=C",
            "--replace-cap AUTH=X=AUTH=Y",
            "--replace-cap B D=1",
            "--add-cap E"
        ]
    );
    let edit = edit(&rules, Peer::Server, "* CAPABILITY IMAP4rev1 A B IDLE Z\r\n").unwrap();
    assert_eq!(edit.bytes.as_deref(), Some(&b"* CAPABILITY IMAP4rev1 C D=1 E\r\n"[..]));
    let named: Vec<_> = rules.capabilities().collect();
    assert_eq!(
        named,
        ["IMAP4rev1", "A", "B", "IDLE", "IDLE", "AUTH=*", "X", "A", "C", "AUTH=X", "AUTH=Y", "B", "D=1", "E"]
    );
    assert!(Source::options(Options::default()).is_empty());
}

#[test]
fn a_file_has_a_rule_a_line() {
    let sources = Source::file("r.txt", "\u{feff}# names\r\n\r\n  drop-capability A  \r\n\t# s/a/b/\ns/#/x/\n");
    let rules = Rules::compile(&sources).unwrap();
    assert_eq!(rules.names().map(|name| &**name).collect::<Vec<_>>(), ["drop-capability A", "s/#/x/"]);
    let problem = Rules::compile(&Source::file("r.txt", "\n\n  dorp-capability A\n")).unwrap_err();
    assert_eq!(problem.origin, "r.txt:3:3");
}

#[test]
fn problems_draw_the_line() {
    let problem = Rules::compile(&[Source::rule(2, "s/é/x/\twhen froom == server")]).unwrap_err();
    assert_eq!(problem.origin, "--rule 2:13");
    assert_eq!(problem.what, "`froom` is no field\n    s/é/x/ when froom == server\n                ^^^^^");
    assert!(problem.help.starts_with("did you mean `from`? "), "{}", problem.help);
    let long = format!("s/{}/x/ whence {}", "a".repeat(200), "b".repeat(200));
    let problem = Rules::compile(&[Source::rule(1, &long)]).unwrap_err();
    assert_eq!(problem.origin, "--rule 1:207");
    assert!(problem.what.lines().all(|line| line.chars().count() < 140), "{}", problem.what);
    let (drawn, caret) = (problem.what.lines().nth(1).unwrap(), problem.what.lines().nth(2).unwrap());
    let at = caret.find('^').unwrap();
    assert_eq!(drawn.chars().skip(at).take(caret.len() - at).collect::<String>(), "whence");
    let drop = ["ID{LE".to_string()];
    let problem = Rules::compile(&Source::options(Options { drop: &drop, ..Options::default() })).unwrap_err();
    assert_eq!(problem.origin, "--drop-cap");
    assert_eq!(problem.what, "`{` cannot stand in this name\n    ID{LE\n      ^");
}

#[test]
fn unknown_texts_can_be_edited_too() {
    assert_eq!(imap::read(Peer::Server, b"a b c\r\n").kind, Kind::Unknown);
    check(&[(&["s/b/x/"], "a b c\r\n", "a x c\r\n")]);
}

#[test]
fn modifiers_count_what_a_rule_would_do() {
    let rules = rules(&["s/a/x/g when status == OK after 1 times 2", "drop-capability IDLE once"]);
    let mut progress = rules.begin(1);
    let mut sent = |text: &str| {
        let reading = imap::read(Peer::Server, text.as_bytes());
        let read = |text: &[u8]| Some(imap::read(Peer::Server, text));
        let edit = rules.edit(&scene(Peer::Server, text.as_bytes(), &reading, &read), &mut progress);
        edit.and_then(|edit| edit.bytes).map_or("=".to_string(), |bytes| String::from_utf8(bytes).unwrap())
    };
    assert_eq!(sent("* OK b\r\n"), "=", "nothing to do does not count");
    assert_eq!(sent("* NO a\r\n"), "=", "nor does what the condition leaves out");
    assert_eq!(sent("* OK a\r\n"), "=", "the first is passed over");
    assert_eq!(sent("* OK a\r\n"), "* OK x\r\n");
    assert_eq!(sent("* CAPABILITY A IDLE\r\n"), "* CAPABILITY A\r\n");
    assert_eq!(sent("* CAPABILITY A IDLE\r\n"), "=");
    assert_eq!(sent("* OK [CAPABILITY IDLE] a\r\n"), "* OK [CxPABILITY IDLE] x\r\n".replace("Cx", "CA").as_str());
    assert_eq!(sent("* OK a\r\n"), "=");
}

#[test]
fn chances_belong_to_the_seed_and_the_connection() {
    let of = |seed, connection| -> String {
        let rules = rules(&["s/a/x/ chance 50%"]).seeded(seed);
        assert!(rules.has_chances());
        let mut progress = rules.begin(connection);
        let reading = imap::read(Peer::Server, b"* OK a\r\n");
        let read = |text: &[u8]| Some(imap::read(Peer::Server, text));
        let scene = scene(Peer::Server, b"* OK a\r\n", &reading, &read);
        (0..64).map(|_| if rules.edit(&scene, &mut progress).is_some() { 'x' } else { '.' }).collect()
    };
    assert_eq!(of(7, 1), of(7, 1));
    assert_eq!(of(7, 2), of(8, 1), "the seed plus the number");
    assert_ne!(of(7, 1), of(7, 2));
}

#[test]
fn names_come_from_a_file() {
    let read = |file: &str| match file {
        "names" => Ok("# what we have\r\nIMAP4rev1 IDLE # two\n\n\tAUTH=*,MOVE\n".to_owned()),
        "odd" => Ok("IDLE\nA MO(VE\n".to_owned()),
        "empty" => Ok("# nothing\n".to_owned()),
        _ => Err("no such file".to_owned()),
    };
    let compile = |line: &str| Rules::compile_with(&[Source::rule(1, line)], &read);
    let rules = compile("only-capabilities X @names").unwrap();
    let edit = edit(&rules, Peer::Server, "* CAPABILITY IMAP4rev1 A IDLE AUTH=PLAIN MOVE X\r\n").unwrap();
    assert_eq!(edit.bytes.as_deref(), Some(&b"* CAPABILITY IMAP4rev1 IDLE AUTH=PLAIN MOVE X\r\n"[..]));
    let problem = compile("drop-capability @odd").unwrap_err();
    assert_eq!(
        (&*problem.origin, &*problem.what),
        ("odd:2:5", "`(` cannot stand in this name\n    A MO(VE\n        ^")
    );
    let problem = compile("drop-capability IDLE @none").unwrap_err();
    assert_eq!(problem.origin, "--rule 1:23");
    assert!(problem.what.starts_with("none cannot be read: no such file\n"), "{problem}");
    assert!(compile("only-capabilities @empty").unwrap_err().what.starts_with("there is no name in empty"));
    let none = ["@names".to_owned()];
    let sources = Source::options(Options { drop: &none, ..Options::default() });
    assert!(Rules::compile_with(&sources, &read).is_ok());
    assert!(Rules::compile(&sources).is_err());
}

#[test]
fn faults_are_told_and_leave_the_text_alone() {
    for (line, told) in [
        ("delay 2s", "delayed 2.00 s"),
        ("throttle 1M when from == client per-line once", "throttled to 1,000,000 octets a second"),
        ("throttle 10k at-byte 5", "throttled to 10,000 octets a second behind 5 octets"),
        ("slice 1 when from == client", "sent in slices of 1 octet"),
        ("stall", "stalled"),
        ("close at-byte 0", "connection closed behind 0 octets"),
        ("reset", "connection reset"),
    ] {
        let rules = Rules::compile(&[Source::rule(1, line)]).unwrap();
        assert!(rules.touches(Peer::Client) && rules.touches(Peer::Server) != line.contains("when"));
        let text = b"a NOOP\r\n";
        let reading = crate::wire::read(Form::Imap, Peer::Client, text);
        let mut progress = rules.begin(1);
        let mut scene = Scene {
            state: State::Authenticated,
            protocol: "imap",
            command: "NOOP",
            ..Scene::bare(Peer::Client, text, Form::Imap, &reading, &|_| None)
        };
        let edit = rules.edit(&scene, &mut progress).unwrap();
        assert_eq!((edit.bytes, edit.fired.len(), edit.refused.len()), (None, 0, 0));
        let [(rule, fault)] = &edit.faults[..] else { panic!("{line}") };
        assert_eq!((&**rule, fault.told().as_str()), (line, told));
        scene.first = false;
        assert_eq!(rules.edit(&scene, &mut progress), None, "what goes on behind a literal has begun before");
    }
}

#[test]
fn what_is_enforced_is_told_by_the_command() {
    let reading = imap::read(Peer::Client, b"a1 IDLE\r\n");
    let scene = scene(Peer::Client, b"a1 IDLE\r\n", &reading, &|_| None);
    let hidden = |rules: &Rules, name: &str| rules.enforced(&scene, name).is_some();
    let drop = rules(&["drop-capability IDLE AUTH=* enforced when state == selected", "drop-capability MOVE"]);
    assert!(drop.has_enforced() && hidden(&drop, "idle") && hidden(&drop, "AUTH=PLAIN"));
    assert!(!hidden(&drop, "MOVE") && !hidden(&drop, "SORT") && drop.drops("MOVE"));
    let drop = drop.enforcing();
    assert!(hidden(&drop, "MOVE"));
    let elsewhere = rules(&["drop-capability IDLE enforced when state == logout"]);
    assert!(!hidden(&elsewhere, "IDLE"));
    let only = rules(&["only-capabilities IDLE", "add-capability X"]).enforcing();
    assert!(hidden(&only, "MOVE") && !hidden(&only, "IDLE") && !hidden(&only, "IMAP4rev1") && !only.drops("MOVE"));
    let never = Rules::compile(&[Source::rule(1, "drop-capability IDLE enforced when from == server")]).unwrap_err();
    assert!(never.what.starts_with("the condition never holds for what a client sends"), "{never}");
}
