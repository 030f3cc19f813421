//! What the language accepts, and what it says to the rest.

use super::*;

#[test]
fn the_language_is_read() {
    for line in [
        "drop-capability IDLE",
        "DROP-Capability IDLE, AUTH=*,X  Y",
        "drop-capability \"when\" when from == server",
        "  add-capability X-FOO=1/2  ",
        "only-capabilities IMAP4rev1 WHEN from == server",
        "replace-capability LITERAL+ LITERAL-",
        "replace-capability LITERAL+,LITERAL-",
        "replace-capability \"SIZE 52428800\" \"SIZE 1000\"",
        "s/a/b/ when state in {mail, transaction} && status in {250, +OK, -ERR, +}",
        "s/a/b/",
        "s:a:b:gi3",
        "s/a/b/ when conn==3||!(from==server&&text~\"a b\")",
        "s/a/b/ when from in {client, server} && state IN{selected}",
        "s/when/once/ when text ~ when",
        "s/a/b/ when capability == AUTH=PLAIN",
        "s/a/b/ when (((((((conn < 3)))))))",
        "s/a/b/ once",
        "s/a/b/ when text ~ a once",
        "s/a/b/ after 2 times 3",
        "s/a/b/ TIMES 3 chance 10% AFTER 0",
        "s/a/b/ chance 0.1",
        "s/a/b/ chance 100%",
        "drop-capability IDLE enforced when conn == 1 once",
        "drop-capability IDLE,AUTH=* Enforced",
        "only-capabilities @names.txt IDLE @more",
        "replace-text \"say \\\"no\\\" again\" when status == NO",
        "replace-text \"\"",
        "replace-code \"[UNAVAILABLE]\"",
        "replace-code \"5.7.1\"",
        "replace-code \"\" once",
        "insert-before \"* 1 EXPUNGE\" when command == NOOP",
        "insert-after \"* OK {5}x\"",
        "drop",
        "drop when command == NOOP after 1 once",
        "refuse FETCH",
        "refuse UID FETCH with \"NO not today\" when state == selected times 3",
        "refuse AUTH* once",
        "delay 2s",
        "delay 100ms at-byte 1000 when command == FETCH chance 1%",
        "throttle 10k",
        "throttle 512 at-byte 0",
        "throttle 1M",
        "delay 1s when command == SELECT && from == server per-line",
        "throttle 1M chance 10% PER-LINE once",
        "slice 1 at-byte 7 once",
        "vary all",
        "VARY Case, order literal when from == server chance 10%",
        "vary quoting slices once",
        "stall",
        "close at-byte 10",
        "reset when from == server",
    ] {
        assert!(rule(line).is_ok(), "{line}: {:?}", rule(line).err());
    }
}

/// The line with `>` before the place of the fault and `<` behind it, then its words.
fn complain(line: &str) -> String {
    let Err(fault) = rule(line) else { return format!("{line} is right") };
    let at = line.len() - fault.at.len();
    format!("{}>{}<{}: {} ({})", &line[..at], &fault.at[..fault.len], &fault.at[fault.len..], fault.what, fault.help)
}

#[test]
fn mistakes_are_pointed_at() {
    let cases = [
        ("", "><: here an action is missing (the actions are drop-capability,"),
        (
            "drop-capabilty IDLE",
            ">drop-capabilty< IDLE: `drop-capabilty` is no action (did you mean `drop-capability`?",
        ),
        ("drop-capability", "drop-capability><: here the name of a capability is missing (for example: drop-cap"),
        ("drop-capability when from == server", "drop-capability ><when from == server: here the name"),
        (
            "add-capability IDLE enforced",
            "add-capability IDLE >enforced<: `enforced` does not belong here (`enforced` st",
        ),
        ("drop-capability @", "drop-capability @><: here the name of a file is missing"),
        ("add-capability @names", "add-capability >@names<"),
        ("s/a/b/ times", "s/a/b/ times><: here the number of `times` is missing (for example: s/a/b/ times 3)"),
        ("s/a/b/ times 0", "s/a/b/ times >0<: `times` is 1 at the least"),
        ("s/a/b/ times x3", "s/a/b/ times >x3<: `x3` is no number"),
        ("s/a/b/ times -1", "s/a/b/ times >-1<: `-1` is no number"),
        ("s/a/b/ once times 3", "s/a/b/ once >times< 3: `times` stands here with another count (modifiers are once,"),
        ("s/a/b/ after 1 after 2", "s/a/b/ after 1 >after< 2: `after` stands here with another `after`"),
        ("s/a/b/ chance 0", "s/a/b/ chance >0<: `0` is not above 0 and up to 100% (a share of"),
        ("s/a/b/ chance 1.5", "s/a/b/ chance >1.5<: `1.5` is not above 0"),
        ("s/a/b/ chance 101%", "s/a/b/ chance >101%<: `101%` is not above 0"),
        ("s/a/b/ chance often", "s/a/b/ chance >often<: `often` is no share"),
        ("s/a/b/ chance 1e9", "s/a/b/ chance >1e9<: `1e9` is no share"),
        ("s/a/b/ chance", "s/a/b/ chance><: here the share of `chance` is missing"),
        (
            "s/a/b/ once when conn == 1",
            "s/a/b/ once >when< conn == 1: `when` does not belong here (a rule has one cond",
        ),
        ("s/a/b/ twice", "s/a/b/ >twice<: `twice` does not belong here (a rule is an action"),
        (
            "replace-text",
            "replace-text><: here the new text is missing, in \"double quotes\" (for example: replace-text",
        ),
        ("replace-text hello", "replace-text >hello<: here the new text is missing"),
        ("replace-text \"a", "replace-text >\"a<: this has no end (close it with \")"),
        ("replace-text \"a\rb\"", "replace-text \"a>\r<b\": this cannot be put into a text"),
        ("replace-code \"[A] [B]\"", "replace-code >\"[A] [B]\"<: `[A] [B]` is no code"),
        ("insert-before", "insert-before><: here the line is missing"),
        ("insert-after \" \"", "insert-after >\" \"<: this line is empty"),
        (
            "insert-after \"a LOGIN {5}\"",
            "insert-after >\"a LOGIN {5}\"<: this line announces a literal (a line that is",
        ),
        ("insert-after \"a LOGIN {5+}\"", "insert-after >\"a LOGIN {5+}\"<: this line announces a literal"),
        ("drop IDLE", "drop >IDLE<: `IDLE` does not belong here"),
        ("refuse", "refuse><: here the command is missing (for example: refuse FETCH with"),
        ("refuse when conn == 1", "refuse ><when conn == 1: here the command is missing"),
        ("refuse UID FETCH NOW", "refuse UID FETCH >NOW<: a command has two words at the most"),
        ("refuse \"NO\"", "refuse >\"NO\"<: `\\\"NO\\\"` is no command (a reply stands behind `with`"),
        ("refuse IDLE with", "refuse IDLE with><: here the reply is missing"),
        ("refuse IDLE with NO", "refuse IDLE with >NO<: here the reply is missing, in"),
        ("refuse IDLE with \" \"", "refuse IDLE with >\" \"<: this reply is empty"),
        ("refuse IDLE with \"NO {3}\"", "refuse IDLE with >\"NO {3}\"<: this reply announces a literal"),
        (
            "vary",
            "vary><: here is missing what is varied (what can be varied: case, order, quoting, literal, slices, all;",
        ),
        ("vary when conn == 1", "vary ><when conn == 1: here is missing what is varied"),
        (
            "vary case quotng",
            "vary case >quotng<: `quotng` cannot be varied (did you mean `quoting`? what can be varied:",
        ),
        ("vary al", "vary >al<: `al` cannot be varied (did you mean `all`?"),
        ("delay", "delay><: here a time is missing (a number with ms, s, m or h behind it"),
        ("delay 2", "delay >2<: `2` is no time"),
        ("delay 0s", "delay >0s<: `0s` is no time"),
        ("delay 999999h", "delay >999999h<: `999999h` is no time"),
        ("throttle 10G", "throttle >10G<: `10G` is no number"),
        ("throttle 0k", "throttle >0k<: `0k` is no rate"),
        ("throttle", "throttle><: here the number of `throttle` is missing"),
        ("slice 1 per-line", "slice 1 >per-line<: `per-line` is for delay and throttle only"),
        ("s/a/b/ per-line", "s/a/b/ >per-line<: `per-line` is for delay and throttle only"),
        ("delay 1s per-line per-line", "delay 1s per-line >per-line<: `per-line` stands here with another one"),
        ("slice 0", "slice >0<: `slice` is 1 at the least"),
        ("stall 3", "stall >3<: `3` does not belong here"),
        ("close at-byte", "close at-byte><: here the number of `at-byte` is missing (for example: close at-byte 1000)"),
        ("drop-capability \" A\"", "drop-capability \"> <A\": ` ` cannot stand in this name"),
        ("s/a/b/ when status == 25", "s/a/b/ when status == >25<: `25` is no value of `status` (`status` is one of OK"),
        ("s/a/b/ when state == trans", "s/a/b/ when state == >trans<: `trans` is no value of `state`"),
        ("add-capability AUTH=*", "add-capability AUTH=>*<: `*` cannot stand in this name"),
        ("drop-capability ID(LE", "drop-capability ID>(<LE: `(` cannot stand in this name"),
        ("drop-capability IDLÉ", "drop-capability IDL>É<: `É` cannot stand"),
        ("drop-capability \"IDLE", "drop-capability >\"IDLE<: this string has no end"),
        ("drop-capability \"\"", "drop-capability >\"\"<: a capability has a name"),
        ("replace-capability A", "replace-capability A><: here the name is missing that is put in its place"),
        ("replace-capability A B C", "replace-capability A B >C<: one name is replaced by one other"),
        ("replace-capability A B*", "replace-capability A B>*<: `*` cannot"),
        ("s/a/b", "s/a/b><: the replacement has no end: here `/` is missing"),
        ("s/a", "s/a><: the regex has no end: here `/` is missing (the form is"),
        ("s/[/b/", "s/[/b/><: the regex has no end: here `/` is missing (inside [ ]"),
        ("s//b/", "s/></b/: the regex is empty"),
        ("s/a(/b/", "s/>a(</b/: this regex cannot be used: unclosed group"),
        ("s/a/\\n/", "s/a/>\\n</: this would break the line"),
        ("s/a/x\\r/", "s/a/x>\\r</: this would break the line"),
        ("s/a/\\q/", "s/a/>\\q</: `\\\\q` means nothing in a replacement"),
        ("s/a/\0/", "s/a/>\0</: this cannot be put into a text"),
        ("s/\\(a\\)/\\1/", "s/\\(a\\)/>\\1</: the regex has no group 1"),
        ("s/a/b/x", "s/a/b/>x<: `x` is no flag"),
        ("s/a/b/gp", "s/a/b/g>p<: `p` is no flag"),
        ("s/a/b/99999999999", "s/a/b/>99999999999<: no text has so many matches"),
        ("s/a/b/ # why", "s/a/b/ >#< why: `#` does not belong here (a comment"),
        ("s/a/b/ if x", "s/a/b/ >if< x: `if` does not belong here"),
        ("s/a/b/ when", "s/a/b/ when><: here a comparison is missing"),
        ("s/a/b/ when from", "s/a/b/ when from><: here a comparison with `from` is missing"),
        (
            "s/a/b/ when from = server",
            "s/a/b/ when from >=< server: here a comparison with `from` is missing (to compare",
        ),
        ("s/a/b/ when from is server", "s/a/b/ when from >is< server: here a comparison"),
        ("s/a/b/ when from ==", "s/a/b/ when from ==><: here a value is missing (`from` is one of client server)"),
        (
            "s/a/b/ when frm == server",
            "s/a/b/ when >frm< == server: `frm` is no field (did you mean `from`? the fields",
        ),
        ("s/a/b/ when zzzzzzz == 1", "s/a/b/ when >zzzzzzz< == 1: `zzzzzzz` is no field (the fields that a rule can"),
        (
            "s/a/b/ when from == servr",
            "s/a/b/ when from == >servr<: `servr` is no value of `from` (did you mean `server`?",
        ),
        (
            "s/a/b/ when state == selectd",
            "s/a/b/ when state == >selectd<: `selectd` is no value of `state` (did you mean",
        ),
        ("s/a/b/ when state in {selected, x}", "s/a/b/ when state in {selected, >x<}: `x` is no value of `state`"),
        ("s/a/b/ when status == \"O K\"", "s/a/b/ when status == >\"O K\"<: `O K` is no value"),
        ("s/a/b/ when latency > 2", "s/a/b/ when >latency< > 2: `latency` is not known when a rule runs"),
        ("s/a/b/ when rule == x", "s/a/b/ when >rule< == x: `rule` is not known when a rule runs"),
        ("s/a/b/ when check == x", "s/a/b/ when >check< == x: `check` is not known when a rule runs"),
        ("s/a/b/ when tls == yes", "s/a/b/ when tls == >yes<: `yes` is no value of `tls`"),
        ("s/a/b/ when conn == one", "s/a/b/ when conn == >one<: `one` is no number"),
        ("s/a/b/ when conn ~ 1", "s/a/b/ when conn >~< 1: `conn` is a number"),
        ("s/a/b/ when tag < a", "s/a/b/ when tag ><< a: `tag` is not a number"),
        ("s/a/b/ when size <= 3", "s/a/b/ when size ><=< 3: there is no <="),
        ("s/a/b/ when text ~ \"(\"", "s/a/b/ when text ~ >\"(\"<: this regex cannot be used: unclosed group"),
        ("s/a/b/ when text ~ 'a'", "s/a/b/ when text ~ >'<a': here a value is missing (strings stand in \"double"),
        ("s/a/b/ when text ~ /a", "s/a/b/ when text ~ >/a<: this has no end (close it with /)"),
        ("s/a/b/ when (conn == 1", "s/a/b/ when (conn == 1><: here a ) is missing"),
        ("s/a/b/ when (conn == 1 x)", "s/a/b/ when (conn == 1 >x)<: `x)` cannot stand here"),
        ("s/a/b/ when conn == 1)", "s/a/b/ when conn == 1>)<: `)` does not belong here (there is no ( for this ))"),
        (
            "s/a/b/ when conn == 1 & size == 1",
            "s/a/b/ when conn == 1 >&< size == 1: `&` does not belong here (conditions are",
        ),
        ("s/a/b/ when conn == 1 &&", "s/a/b/ when conn == 1 &&><: here a comparison is missing"),
        ("s/a/b/ when conn in 1", "s/a/b/ when conn in >1<: here a list is missing"),
        ("s/a/b/ when conn in {1", "s/a/b/ when conn in {1><: here a } is missing"),
        ("s/a/b/ when conn in {}", "s/a/b/ when conn in {>}<: here a value is missing"),
        ("s/a/b/ when conn in {1 2}", "s/a/b/ when conn in {1 >2<}: here , or } is missing"),
    ];
    for (line, expected) in cases {
        let found = complain(line);
        assert!(found.starts_with(expected), "\n   found {found}\nexpected {expected}");
    }
}

#[test]
fn nesting_is_bounded() {
    for deep in ["!".repeat(100_000), "(".repeat(100_000), "!(".repeat(50_000)] {
        let line = format!("s/a/b/ when {deep}");
        assert!(complain(&line).contains("nested more than 64 deep"));
    }
    assert!(rule(&format!("s/a/b/ when {}conn == 1{}", "(".repeat(64), ")".repeat(64))).is_ok());
}

#[test]
fn a_pair_of_names_is_parted() {
    let parted = |value| match option(Verb::Replace, value) {
        Ok(Sentence { action: Action::Names(NamesAction::Replace(Pattern(old), new)), .. }) => {
            format!("{} {}", String::from_utf8_lossy(&old), String::from_utf8_lossy(&new))
        }
        Ok(other) => format!("{other:?}"),
        Err(fault) => format!("{}>{}: {}", &value[..value.len() - fault.at.len()], fault.len, fault.what),
    };
    assert_eq!(parted("A=B"), "A B");
    assert_eq!(parted("AUTH=A=AUTH=B"), "AUTH=A AUTH=B");
    assert_eq!(parted("AUTH=* AUTH=B"), "AUTH=* AUTH=B");
    assert_eq!(parted("A,B=1"), "A B=1");
    assert_eq!(parted("A"), ">1: this does not say what is put in its place");
    assert_eq!(parted("AUTH=A=B"), ">8: it is not clear which = parts the two names");
    assert_eq!(parted("=B"), ">0: here the name is missing that is replaced");
    assert_eq!(parted("A="), "A=>0: here the name is missing that is put in its place");
    assert_eq!(parted("A{=B"), "A>1: `{` cannot stand in this name");
    assert_eq!(parted("SIZE 52428800=SIZE 1000"), "SIZE 52428800 SIZE 1000");
    assert_eq!(parted("AUTH=PLAIN AUTH=LOGIN"), "AUTH=PLAIN AUTH=LOGIN");
    assert_eq!(parted("COMPRESS=DEFLATE X"), "COMPRESS=DEFLATE X");
    assert_eq!(parted("B D=1"), "B D=1");
    assert_eq!(parted("\"A 1\" B 2"), "\"A 1\" B >1: one name is replaced by one other");
    let pair = |value| match option(Verb::Replace, value) {
        Ok(Sentence { action: Action::Names(NamesAction::Replace(Pattern(old), new)), .. }) => {
            (String::from_utf8(old).unwrap(), String::from_utf8_lossy(&new).into_owned())
        }
        other => (format!("{other:?}"), String::new()),
    };
    for (value, old, new) in [
        ("SIZE=SIZE 1000", "SIZE", "SIZE 1000"),
        ("SIZE=MAX 1000", "SIZE", "MAX 1000"),
        ("size 1=SIZE", "size 1", "SIZE"),
        ("SIZE 1=SIZE 2", "SIZE 1", "SIZE 2"),
        ("SIEVE a b*=SIEVE c", "SIEVE a b*", "SIEVE c"),
        ("A=B c d", "A", "B c d"),
        ("\"X A=1\"=\"X A=2\"", "X A=1", "X A=2"),
        ("\"SIZE 1\" \"SIZE 2\"", "SIZE 1", "SIZE 2"),
        ("\"SIZE 1\"=SIZE 2", "SIZE 1", "SIZE 2"),
        ("SIZE=\"SIZE x\"", "SIZE", "SIZE x"),
        ("AUTH=A \"B c\"", "AUTH=A", "B c"),
    ] {
        assert_eq!(pair(value), (old.to_string(), new.to_string()), "{value}");
    }
    assert_eq!(parted("X A=1=X A=2"), ">11: it is not clear which = parts the two names");
    assert_eq!(parted("A=B*"), "A=B>1: `*` cannot stand in this name");
}
