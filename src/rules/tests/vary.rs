//! What `vary` makes of texts, way by way, and what it leaves alone.

use super::super::*;
use super::{check, rules, scene};
use crate::wire::{self, imap};

#[test]
fn keywords_have_another_case() {
    let case: &[&str] = &["vary case"];
    check(&[
        (case, "* OK [UIDVALIDITY 3] Ok OK\r\n", "* oK [uIdVaLiDiTy 3] Ok OK\r\n"),
        (case, "a1 ok [read-write] done\r\n", "a1 Ok [ReAd-WrItE] done\r\n"),
        (case, "* [ALERT] x\r\n", "* [aLeRt] x\r\n"),
        (case, "* 3 EXISTS\r\n", "* 3 eXiStS\r\n"),
        (case, "* FLAGS (\\Seen $Forwarded Junk)\r\n", "* fLaGs (\\seEn $Forwarded Junk)\r\n"),
        (case, "* OK [PERMANENTFLAGS (\\Seen x \\*)] a\r\n", "* oK [pErMaNeNtFlAgS (\\seEn x \\*)] a\r\n"),
        (case, "* LIST (\\HasNoChildren) NIL Inbox\r\n", "* lIsT (\\haSNOCHiLdReN) nIl inBoX\r\n"),
        (case, "* LIST () \"/\" \"INBOX/a\"\r\n", "* lIsT () \"/\" \"INBOX/a\"\r\n"),
        (case, "* STATUS \"INBOX\" (MESSAGES 1)\r\n", "* sTaTuS \"iNbOx\" (mEsSaGeS 1)\r\n"),
        (
            case,
            "* CAPABILITY IMAP4rev1 AUTH=PLAIN RIGHTS=kxte\r\n",
            "* cApAbIlItY iMaP4ReV1 aUtH=PLAIN rIgHtS=kxte\r\n",
        ),
        (case, "* OK [CAPABILITY IDLE] hi\r\n", "* oK [cApAbIlItY iDlE] hi\r\n"),
        (
            case,
            "* 1 FETCH (BODY[1.HEADER.FIELDS (Date)]<0> \"x NIL\" ENVELOPE (NIL \"Re\" NIL))\r\n",
            "* 1 fEtCh (bOdY[1.hEaDeR.fIeLdS (Date)]<0> \"x NIL\" eNvElOpE (nIl \"Re\" nIl))\r\n",
        ),
        (case, "* ESEARCH (TAG \"a1\") UID ALL 1:3\r\n", "* eSeArCh (TAG \"a1\") uId aLl 1:3\r\n"),
        (case, "* X-OWN a\r\n", "="),
        (case, "+ idling\r\n", "="),
        (case, "not a response\r\n", "="),
        (case, "C: a UID FETCH 1:* (FLAGS BODY.PEEK[TEXT])\r\n", "a uId fEtCh 1:* (fLaGs bOdY.pEeK[tExT])\r\n"),
        (case, "C: LOGIN LOGIN LOGIN LOGIN\r\n", "LOGIN lOgIn LOGIN LOGIN\r\n"),
        (case, "C: a AUTHENTICATE PLAIN AGFiYw==\r\n", "a aUtHeNtIcAtE PLAIN AGFiYw==\r\n"),
        (case, "C: a SELECT inbox\r\n", "a sElEcT InBoX\r\n"),
        (
            case,
            "C: a SEARCH OR FROM FROM NOT (SEEN KEYWORD Seen)\r\n",
            "a sEaRcH oR fRoM FROM nOt (sEeN kEyWoRd Seen)\r\n",
        ),
        (case, "C: a STORE 1 +FLAGS.SILENT (\\Deleted x)\r\n", "a sToRe 1 +fLaGs.sIlEnT (\\deLeTeD x)\r\n"),
        (case, "C: a STORE 1 +X-GM-LABELS (\\Inbox)\r\n", "a sToRe 1 +x-gM-lAbElS (\\Inbox)\r\n"),
        (case, "C: a SORT (REVERSE DATE) UTF-8 ALL\r\n", "a sOrT (rEvErSe dAtE) UTF-8 aLl\r\n"),
        (case, "C: a XYZZY\r\n", "="),
        (case, "C: DONE\r\n", "dOnE\r\n"),
    ]);
}

#[test]
fn what_has_no_order_is_the_other_way_round() {
    let order: &[&str] = &["vary order"];
    check(&[
        (order, "* FLAGS (\\Seen a \\Draft)\r\n", "* FLAGS (\\Draft a \\Seen)\r\n"),
        (order, "* CAPABILITY IMAP4rev1 A  B\r\n", "* CAPABILITY B A  IMAP4rev1\r\n"),
        (order, "a OK [CAPABILITY A B] x y\r\n", "a OK [CAPABILITY B A] x y\r\n"),
        (order, "* 1 FETCH (UID 7 FLAGS (\\Seen b))\r\n", "* 1 FETCH (FLAGS (b \\Seen) UID 7)\r\n"),
        (order, "* 1 FETCH (UID 7 FLAGS (c b) BODY[] {5}\r\n", "* 1 FETCH (FLAGS (b c) UID 7 BODY[] {5}\r\n"),
        (order, "* SEARCH 2 3 10 (MODSEQ 9)\r\n", "* SEARCH 10 3 2 (MODSEQ 9)\r\n"),
        (order, "* SORT 2 3 10\r\n", "="),
        (order, "* ESEARCH (TAG \"a\") ALL 1,5\r\n", "="),
        (order, "* STATUS x (UNSEEN 1 MAILBOXID (a b))\r\n", "* STATUS x (MAILBOXID (a b) UNSEEN 1)\r\n"),
        (order, "* 1 FETCH (ENVELOPE (NIL \"b\" ((\"x\" NIL \"y\" \"z\")) NIL))\r\n", "="),
        (order, "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n", "="),
        (order, "* ID (\"name\" \"x\" \"version\" NIL)\r\n", "="),
        (
            order,
            "C: a FETCH 1 (UID FLAGS BODY[HEADER.FIELDS (A B)])\r\n",
            "a FETCH 1 (BODY[HEADER.FIELDS (A B)] FLAGS UID)\r\n",
        ),
        (order, "C: a STORE 1 FLAGS \\Seen x\r\n", "a STORE 1 FLAGS x \\Seen\r\n"),
        (order, "C: a SORT (DATE SIZE) UTF-8 SEEN NEW\r\n", "="),
        (order, "C: a ID (\"name\" \"x\" \"version\" bad\r\n", "="),
        (order, "C: a ENABLE A B\r\n", "a ENABLE B A\r\n"),
        (order, "C: a STATUS x (UNSEEN RECENT)\r\n", "a STATUS x (RECENT UNSEEN)\r\n"),
        (
            order,
            "C: a APPEND x (\\Seen b) \"1-Jan-2000 00:00:00 +0000\" {5}\r\n",
            "a APPEND x (b \\Seen) \"1-Jan-2000 00:00:00 +0000\" {5}\r\n",
        ),
    ]);
}

#[test]
fn atoms_are_quoted_and_quoted_strings_are_atoms_where_both_may_stand() {
    let quoting: &[&str] = &["vary quoting"];
    check(&[
        (quoting, "* LIST () \"/\" \"INBOX\"\r\n", "* LIST () \"/\" INBOX\r\n"),
        (quoting, "* LIST () \"/\" a]b\r\n", "* LIST () \"/\" \"a]b\"\r\n"),
        (quoting, "* LIST () NIL \"NIL\"\r\n", "="),
        (quoting, "* LIST () \"/\" NIL\r\n", "="),
        (quoting, "* LIST () \"/\" \"a b\"\r\n", "="),
        (quoting, "* LIST () \"/\" \"a%\"\r\n", "="),
        (quoting, "* STATUS \"a\" (MESSAGES 1)\r\n", "* STATUS a (MESSAGES 1)\r\n"),
        (quoting, "* 1 FETCH (BODY[TEXT] \"abc\" INTERNALDATE \"x\")\r\n", "="),
        (quoting, "C: a LOGIN alice \"secret\"\r\n", "a LOGIN \"alice\" secret\r\n"),
        (quoting, "C: a LOGIN \"al\\\"ice\" \"\"\r\n", "="),
        (quoting, "C: a LIST \"\" %\r\n", "a LIST \"\" \"%\"\r\n"),
        (quoting, "C: a LIST \"\" \"*\"\r\n", "a LIST \"\" *\r\n"),
        (quoting, "C: a RENAME \"a\" b\r\n", "a RENAME a \"b\"\r\n"),
        (quoting, "C: a COPY 1:2 \"x\"\r\n", "a COPY 1:2 x\r\n"),
        (quoting, "C: a SEARCH SUBJECT \"x\" FROM y 1:3\r\n", "a SEARCH SUBJECT x FROM \"y\" 1:3\r\n"),
        (quoting, "C: a ID (\"name\" \"x\")\r\n", "="),
        (quoting, "C: a SELECT \"caf\u{e9}\"\r\n", "="),
        (quoting, "C: a LOGIN \"a\\x\" b\r\n", "="),
    ]);
}

#[test]
fn strings_of_a_server_are_literals_in_the_end() {
    let literal: &[&str] = &["vary literal"];
    check(&[
        (literal, "* LIST () \"/\" \"a \\\"b\\\\\"\r\n", "* LIST () \"/\" {5}\r\na \"b\\\r\n"),
        (literal, "* LIST () \"/\" a\r\n", "="),
        (literal, "* LIST () \"/\" \"\"\r\n", "* LIST () \"/\" {0}\r\n\r\n"),
        (&["vary quoting literal"], "* LIST () \"/\" a\r\n", "* LIST () \"/\" {1}\r\na\r\n"),
        (&["vary quoting literal"], "* LIST () \"/\" \"a\"\r\n", "* LIST () \"/\" a\r\n"),
        (
            literal,
            "* 1 FETCH (INTERNALDATE \"x\" BODY[TEXT] \"ab\" UID 3)\r\n",
            "* 1 FETCH (INTERNALDATE \"x\" BODY[TEXT] {2}\r\nab UID 3)\r\n",
        ),
        (literal, "* 1 FETCH (PREVIEW \"ab\" BODY[] {7}\r\n", "* 1 FETCH (PREVIEW {2}\r\nab BODY[] {7}\r\n"),
        (
            literal,
            "* 1 FETCH (BODY (\"TEXT\" \"PLAIN\" (\"CHARSET\" \"x\") NIL NIL \"7BIT\" 1 2))\r\n",
            "* 1 FETCH (BODY (\"TEXT\" {5}\r\nPLAIN ({7}\r\nCHARSET {1}\r\nx) NIL NIL {4}\r\n7BIT 1 2))\r\n",
        ),
        (literal, "* NAMESPACE ((\"a\" \"/\")) NIL NIL\r\n", "* NAMESPACE (({1}\r\na \"/\")) NIL NIL\r\n"),
        (literal, "* ID (\"name\" NIL)\r\n", "* ID ({4}\r\nname NIL)\r\n"),
        (literal, "* OK \"human\"\r\n", "="),
        (literal, "* METADATA \"a\" (/x \"y\")\r\n", "="),
        (&["vary literal", "s/LIST/LSUB/"], "* LIST () \"/\" \"a\"\r\n", "* LSUB () \"/\" {1}\r\na\r\n"),
        (&["vary literal", "s/\"a\"/a/"], "* LIST () \"/\" \"a\"\r\n", "* LIST () \"/\" a\r\n"),
    ]);
}

/// What is sent instead of a client's text, where literals of this length need not wait, and why not.
fn offered(line: &str, at_once: u32, text: &str) -> (Option<String>, Vec<String>) {
    let reading = imap::read(Peer::Client, text.as_bytes());
    let read = |text: &[u8]| Some(imap::read(Peer::Client, text));
    let scene = Scene { at_once, ..scene(Peer::Client, text.as_bytes(), &reading, &read) };
    let rules = rules(&[line]);
    let edit = rules.edit(&scene, &mut rules.begin(1)).unwrap_or_default();
    (edit.bytes.map(|bytes| String::from_utf8(bytes).unwrap()), edit.refused.into_iter().map(|(_, why)| why).collect())
}

#[test]
fn strings_of_a_client_are_literals_only_if_none_has_to_wait() {
    let select = "a SELECT \"x y\"\r\n";
    assert_eq!(offered("vary literal", u32::MAX, select), (Some("a SELECT {3+}\r\nx y\r\n".into()), vec![]));
    assert_eq!(offered("vary literal", 4096, select).0.as_deref(), Some("a SELECT {3+}\r\nx y\r\n"));
    let (bytes, refused) = offered("vary literal", 0, select);
    assert_eq!(bytes, None);
    assert!(refused[0].contains("was not offered LITERAL+"), "{refused:?}");
    let (bytes, refused) = offered("vary all", 0, select);
    assert_eq!((bytes.as_deref(), refused.len()), (Some("a sElEcT \"x y\"\r\n"), 1));
    // What is too long for LITERAL- stays, beside what is not.
    let long = format!("a LOGIN \"x\" \"{}\"\r\n", "y".repeat(5000));
    let (bytes, refused) = offered("vary literal", 4096, &long);
    assert!(bytes.is_some_and(|bytes| bytes.starts_with("a LOGIN {1+}\r\nx \"yyy")) && refused.is_empty());
    assert_eq!(offered("vary literal", 0, "a NOOP\r\n"), (None, vec![]));
    let login = "a LOGIN \"bob\" {6}\r\n";
    assert_eq!(offered("vary literal", 4096, login).0.as_deref(), Some("a LOGIN {3+}\r\nbob {6}\r\n"));
}

#[test]
fn what_goes_on_behind_a_literal_is_varied_where_it_tells_what_it_is() {
    for (text, expected) in [
        (" UID 7 FLAGS (a \\Seen))\r\n", Some(" fLaGs (\\seEn a) uId 7)\r\n")),
        (" NIL NIL (\"a\" \"b\"))\r\n", None),
        (" (MESSAGES 1 UNSEEN 2)\r\n", None),
        (")\r\n", None),
    ] {
        let reading = imap::read_more(text.as_bytes());
        let read = |text: &[u8]| Some(imap::read_more(text));
        let scene = Scene { first: false, ..scene(Peer::Server, text.as_bytes(), &reading, &read) };
        let rules = rules(&["vary case order slices"]);
        let edit = rules.edit(&scene, &mut rules.begin(1)).unwrap_or_default();
        assert_eq!(edit.bytes.as_deref(), expected.map(str::as_bytes), "{text}");
        assert_eq!(edit.faults, [], "what is sliced is the whole response, once");
    }
}

/// What is sent instead of a text of this form, with `|` for line ends; `=` if it is the same.
fn other(line: &str, form: Form, from: Peer, text: &str) -> String {
    let text = text.replace('|', "\r\n");
    let read = |text: &[u8]| {
        let mut reading = wire::read(form, from, text);
        if from == Peer::Server && form != Form::Managesieve {
            reading.list = Some(wire::status::list(form, text));
        }
        reading
    };
    let reading = read(text.as_bytes());
    let read = |text: &[u8]| Some(read(text));
    let rules = rules(&[line]);
    let scene = Scene { form, ..scene(from, text.as_bytes(), &reading, &read) };
    let edit = rules.edit(&scene, &mut rules.begin(1)).unwrap_or_default();
    assert_eq!(edit.refused, [], "{line} on {text}");
    edit.bytes.map_or("=".into(), |bytes| String::from_utf8(bytes).unwrap().replace("\r\n", "|"))
}

#[test]
fn smtp_is_varied() {
    let client = |text| other("vary case order quoting literal", Form::Codes, Peer::Client, text);
    assert_eq!(client("EHLO Me.example|"), "eHlO Me.example|");
    assert_eq!(client("MAIL FROM:<\"a>\"@b> SIZE=9 BODY=8BITMIME|"), "mAiL fRoM:<\"a>\"@b> bOdY=8BITMIME sIzE=9|");
    assert_eq!(client("rcpt to:<A@B>|"), "RcPt To:<A@B>|");
    assert_eq!(client("AUTH PLAIN AGFiYw==|"), "aUtH PLAIN AGFiYw==|");
    assert_eq!(client("BDAT 5 LAST|"), "bDaT 5 lAsT|");
    assert_eq!(client("kanarie77|"), "=");
    let server = |line, text| other(line, Form::Codes, Peer::Server, text);
    let ehlo = "250-Mx hi|250-SIZE 1000|250-AUTH PLAIN LOGIN|250 HELP|";
    assert_eq!(server("vary order", ehlo), "250-Mx hi|250-HELP|250-AUTH PLAIN LOGIN|250 SIZE 1000|");
    assert_eq!(server("vary case", ehlo), "250-Mx hi|250-sIzE 1000|250-aUtH PLAIN LOGIN|250 hElP|");
    assert_eq!(server("vary quoting literal", ehlo), "=");
}

#[test]
fn pop3_is_varied() {
    let client = |text| other("vary all", Form::Pop3, Peer::Client, text);
    assert_eq!(client("PASS PASS|"), "pAsS PASS|");
    assert_eq!(client("APOP a c4c9334bac560ecc979e58001b3e22fb|"), "aPoP a c4c9334bac560ecc979e58001b3e22fb|");
    let server = |text| other("vary all", Form::Pop3, Peer::Server, text);
    assert_eq!(server("+OK Here|TOP|SASL PLAIN|.|"), "+OK Here|sAsL PLAIN|tOp|.|");
}

#[test]
fn managesieve_is_varied() {
    let client = |text| other("vary all", Form::Managesieve, Peer::Client, text);
    assert_eq!(client("PUTSCRIPT \"a\\\"b\" {5+}|"), "pUtScRiPt {3+}|a\"b {5+}|");
    assert_eq!(client("HAVESPACE \"a\" 99|"), "hAvEsPaCe {1+}|a 99|");
    assert_eq!(client("AUTHENTICATE \"PLAIN\" \"AGFiYw==\"|"), "aUtHeNtIcAtE \"PLAIN\" \"AGFiYw==\"|");
    let server = |text| other("vary all", Form::Managesieve, Peer::Server, text);
    assert_eq!(
        server("\"IMPLEMENTATION\" \"X\"|\"SASL\" \"PLAIN\"|OK \"Hi\"|"),
        "\"sAsL\" \"PLAIN\"|\"iMpLeMeNtAtIoN\" \"X\"|oK \"Hi\"|"
    );
    assert_eq!(server("NO (QUOTA/MAXSIZE) \"too \\\"big\\\"\"|"), "nO (qUoTa/MAXSIZE) {9}|too \"big\"|");
}

#[test]
fn a_rule_varies_or_not_as_a_whole() {
    let text = "* FLAGS (a b)\r\n";
    let reading = imap::read(Peer::Server, text.as_bytes());
    let read = |text: &[u8]| Some(imap::read(Peer::Server, text));
    let scene = scene(Peer::Server, text.as_bytes(), &reading, &read);
    let rules = rules(&["vary all once"]);
    let mut progress = rules.begin(1);
    let edit = rules.edit(&scene, &mut progress).expect("an edit");
    assert_eq!((edit.fired.len(), edit.faults.len()), (1, 1));
    assert_eq!(edit.varied[0].1, "case, order");
    assert_eq!(rules.edit(&scene, &mut progress), None);
}
