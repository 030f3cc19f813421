//! What messages of each mechanism say.

use base64::Engine as _;

use super::*;

fn line(message: &[u8]) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.encode(message).into_bytes()
}

fn said(name: &str, messages: &[&[u8]]) -> Vec<String> {
    let mut exchange = Exchange::begin(name.as_bytes(), 1, false);
    messages.iter().map(|message| exchange.client(&line(message)).text).collect()
}

/// What is shown of messages at once, and what once the server has accepted them.
fn accepted(name: &str, messages: &[&[u8]]) -> (Vec<String>, String) {
    let mut exchange = Exchange::begin(name.as_bytes(), 1, false);
    let said = messages.iter().map(|message| exchange.client(&line(message)).text).collect();
    (said, exchange.accept().text)
}

const MISSHAPEN: &str = "(not of this mechanism's shape) message=<hidden>";

#[test]
fn plain_names_the_user_once_the_server_has_accepted_it() {
    for (message, at_once, later) in [
        (&b"\0alice\0pw"[..], "authcid=<hidden> pass=<hidden>", "PLAIN authcid=\"alice\" pass=<hidden>"),
        (b"\0bob42\0X9!k", "authcid=<hidden> pass=<hidden>", "PLAIN authcid=\"bob42\" pass=<hidden>"),
        (b"\0al@example.org\0pw", "authcid=\"al@example.org\" pass=<hidden>", ""),
        (
            b"bob\0alice\0pw",
            "authzid=<hidden> authcid=<hidden> pass=<hidden>",
            "PLAIN authzid=\"bob\" authcid=\"alice\" pass=<hidden>",
        ),
        // What is in the place of the name is less like one than what is in the place of the password.
        (b"\0hunter2\0bob", "authcid=<hidden> pass=<hidden>", ""),
        (b"\0bob\0bob", "authcid=<hidden> pass=<hidden>", ""),
        (
            b"\0al@example.org\0bo@example.org",
            "authcid=<hidden> pass=<hidden>",
            "PLAIN authcid=\"al@example.org\" pass=<hidden>",
        ),
        (
            b"hunter2\0alice\0bob",
            "authzid=<hidden> authcid=<hidden> pass=<hidden>",
            "PLAIN authzid=<hidden> authcid=\"alice\" pass=<hidden>",
        ),
        (b"alice\0pw", MISSHAPEN, ""),
        (b"bob\0hunter2\0", MISSHAPEN, ""),
        (b"hunter2\0bob\0", MISSHAPEN, ""),
        (b"\0\0hunter2", MISSHAPEN, ""),
        (b"\0bob\0hunter2\0", MISSHAPEN, ""),
        (b"\0bob\0hunter2\0x", MISSHAPEN, ""),
        (b"\0bob hunter2\0x", MISSHAPEN, ""),
    ] {
        let (said, text) = accepted("plain", &[message]);
        assert_eq!(
            (said[0].as_str(), text.as_str()),
            (&*format!("PLAIN {at_once}"), later),
            "{}",
            message.escape_ascii()
        );
    }
    let with_pin = accepted("SECURID", &[b"\0alice\x00123456\x001234"]);
    assert_eq!(with_pin.1, "SECURID authcid=\"alice\" pass=<hidden>");
}

#[test]
fn the_answer_to_a_prompt_that_is_not_known_is_hidden() {
    let answered = |prompt: &[u8]| {
        let mut exchange = Exchange::begin(b"LOGIN", 1, false);
        exchange.server(prompt);
        let first = exchange.client(&line(b"alice")).text;
        exchange.server(&line(b"Password:"));
        let second = exchange.client(&line(b"hunter2")).text;
        assert_eq!(second, "LOGIN pass=<hidden>");
        (first, exchange.accept().text)
    };
    for prompt in
        [&b"Password:"[..], b"Kennwort:", b"UGFzc3dvcmQ6", b"", b"=", &line(b"User Name\0"), &line(b"user password")]
    {
        assert_eq!(answered(prompt), ("LOGIN pass=<hidden>".to_owned(), String::new()), "{}", prompt.escape_ascii());
    }
    for prompt in [&b"User Name:"[..], b"VXNlcm5hbWU6", &line(b"Username:"), &line(b"login")] {
        assert_eq!(answered(prompt), ("LOGIN user=<hidden>".to_owned(), "LOGIN user=\"alice\"".to_owned()));
    }
    let hidden = ["LOGIN user=<hidden>", "LOGIN pass=<hidden>", "LOGIN pass=<hidden>"].map(String::from).to_vec();
    assert_eq!(accepted("LOGIN", &[b"alice", b"pw"]), (hidden[..2].to_vec(), "LOGIN user=\"alice\"".to_owned()));
    for wrong in [&[&b"hunter2"[..], b"bob"][..], &[b"bob", b"bob"], &[b"alice"], &[b"alice", b"pw", b"x"]] {
        assert_eq!(accepted("LOGIN", wrong), (hidden[..wrong.len()].to_vec(), String::new()));
    }
    assert_eq!(said("LOGIN", &[b"al@example.org"]), ["LOGIN user=\"al@example.org\""]);
    assert_eq!(said("LOGIN", &[b"bob hunter2"]), ["LOGIN pass=<hidden>"]);
}

#[test]
fn scram_shows_all_but_the_proofs() {
    let mut exchange = Exchange::begin(b"SCRAM-SHA-256-PLUS", 1, false);
    let first = exchange.client(&line(b"p=tls-exporter,,n=al=2Cice,r=abc")).text;
    assert_eq!(first, "SCRAM-SHA-256-PLUS binding=\"tls-exporter\" user=<hidden> nonce=\"abc\"");
    let challenge = exchange.server(&line(b"r=abcdef,s=c2FsdA==,i=4096"));
    assert_eq!(challenge.text, "SCRAM-SHA-256-PLUS challenge nonce=\"abcdef\" salt=\"c2FsdA==\" iterations=\"4096\"");
    assert!(!challenge.hide);
    assert_eq!(
        exchange.client(&line(b"c=eHl6,r=abcdef,p=cHJvb2Y=")).text,
        "SCRAM-SHA-256-PLUS nonce=\"abcdef\" proof=<hidden>"
    );
    let last = exchange.server(&line(b"v=c2ln"));
    assert_eq!((last.text.as_str(), last.hide), ("SCRAM-SHA-256-PLUS challenge signature=<hidden>", true));
    assert_eq!(exchange.user, None);
    exchange.accept();
    assert_eq!(exchange.user.as_deref(), Some("al,ice"));
    let plain = "SCRAM-SHA-1 no channel binding user=\"alice\" nonce=\"abc\"";
    assert_eq!(said("SCRAM-SHA-1", &[b"n,,n=alice,r=abc"]), [plain]);
    for message in [
        &b"n,,n=bob hunter2,r=abc"[..],
        b"n,,n=bob;r=hunter2",
        b"n,,n=bob",
        b"n,,r=abc,n=bob",
        b"n,n=bob,r=abc",
        b",,n=bob,r=abc",
        b"n,,n=bob,r=abc def",
        b"n,,n=bob%01,r=abc\x01",
        b"n,,,n=bob,r=abc",
        b"n,,n=,r=abc",
        b"bob\0hunter2",
    ] {
        assert_eq!(said("SCRAM-SHA-1", &[message]), [format!("SCRAM-SHA-1 {MISSHAPEN}")], "{}", message.escape_ascii());
    }
    for (challenge, last) in [
        (&b"r=abcdef,s=c2FsdA==,i=4096"[..], &b"c=biws,r=abcdef,hunter2"[..]),
        (b"r=abcdef,s=c2FsdA==,i=4096", b"c=biws,r=abcdef;p=hunter2"),
        (b"r=abcdef,s=c2FsdA==,i=4096", b"c=biws,r=hunter2,p=aaaa"),
        (b"r=abcdef,s=c2FsdA==,i=4096", b"c=biws,p=aaaa,r=abcdef"),
        (b"r=xyzdef,s=c2FsdA==,i=4096", b"c=biws,r=xyzdef,p=aaaa"),
        (b"r=abcdef,s=c2FsdA==,i=many", b"c=biws,r=abcdef,p=aaaa"),
        (b"r=abcdef,s=c2FsdA==", b"c=biws,r=abcdef,p=aaaa"),
    ] {
        let mut exchange = Exchange::begin(b"SCRAM-SHA-1", 1, false);
        exchange.client(&line(b"n,,n=bob,r=abc"));
        exchange.server(&line(challenge));
        let said = exchange.client(&line(last)).text;
        assert_eq!(said, format!("SCRAM-SHA-1 {MISSHAPEN}"), "{}", last.escape_ascii());
    }
}

#[test]
fn digest_and_cram_hide_their_digests() {
    let hex = "0f".repeat(16);
    let cram = format!("alice {hex}");
    assert_eq!(said("CRAM-MD5", &[cram.as_bytes()]), ["CRAM-MD5 user=\"alice\" digest=<hidden>"]);
    for message in [
        format!("al ice {hex}"),
        "alice hunter2".to_owned(),
        format!("{hex} alice"),
        format!("alice\t{hex}"),
        hex.clone(),
    ] {
        assert_eq!(said("CRAM-MD5", &[message.as_bytes()]), [format!("CRAM-MD5 {MISSHAPEN}")], "{message}");
    }
    let digest = format!("username=\"alice\",realm=x,nonce=\"n\",qop=auth,response={hex},novelty=1");
    let want = "DIGEST-MD5 username=\"alice\" realm=\"x\" nonce=\"n\" qop=\"auth\" response=<hidden> other=<hidden>";
    assert_eq!(said("DIGEST-MD5", &[digest.as_bytes()]), [want]);
    for (was, is) in [
        (",realm", ";realm"),
        (",realm", "%01realm"),
        (",realm", " realm"),
        ("alice", "alice hunter2"),
        ("\"alice\"", "\"alice"),
        ("realm=x", "hunter2"),
        ("realm=x", "realm=a b"),
        ("nonce=\"n\",", ""),
        ("username", "usernam"),
        (&hex, "hunter2"),
        ("response", "respons"),
        ("realm=x", "username=hunter2"),
    ] {
        let message = digest.replacen(was, is, 1);
        assert_eq!(said("DIGEST-MD5", &[message.as_bytes()]), [format!("DIGEST-MD5 {MISSHAPEN}")], "{message}");
    }
}

#[test]
fn tokens_are_hidden_and_the_user_is_not() {
    let want = "OAUTHBEARER user=\"a@b.org\" host=\"h\" port=\"143\" auth=<hidden>";
    let message = b"n,a=a@b.org,\x01host=h\x01port=143\x01auth=Bearer t0k\x01\x01";
    assert_eq!(said("OAUTHBEARER", &[message, b"\x01"]), [want, "OAUTHBEARER (takes note of the error)"]);
    assert_eq!(
        said("XOAUTH2", &[b"user=a@b.org\x01auth=Bearer t0k\x01\x01"]),
        ["XOAUTH2 user=\"a@b.org\" auth=<hidden>"]
    );
    let (at_once, later) = accepted("XOAUTH2", &[b"user=bob\x01auth=Bearer t0k\x01\x01"]);
    assert_eq!(
        (at_once[0].as_str(), later.as_str()),
        ("XOAUTH2 user=<hidden> auth=<hidden>", "XOAUTH2 user=\"bob\" auth=<hidden>")
    );
    for separator in ["^A", "\\x01", "%01", " ", ",", ";", "\t", "\0", "", "\n", "\x02", "\u{1}\u{1}", "&", "|", "A"] {
        for (name, message) in [
            ("XOAUTH2", format!("user=a@b.org{separator}auth=Bearer t0k{separator}{separator}")),
            ("XOAUTH2", format!("user=a@b.org{separator}auth=Bearer t0k\u{1}\u{1}")),
            ("XOAUTH2", format!("user=a@b.org\u{1}auth=Bearer t0k{separator}{separator}")),
            ("OAUTHBEARER", format!("n,a=a@b.org,{separator}host=h{separator}auth=Bearer t0k{separator}{separator}")),
            ("OAUTHBEARER", format!("n,a=a@b.org,{separator}auth=Bearer t0k\u{1}\u{1}")),
            ("OAUTHBEARER", format!("n,a=a@b.org,\u{1}host=h{separator}auth=Bearer t0k\u{1}\u{1}")),
        ] {
            assert_eq!(
                said(name, &[message.as_bytes()]),
                [format!("{name} {MISSHAPEN}")],
                "{}",
                message.escape_debug()
            );
        }
    }
    for message in [
        &b"auth=Bearer t0k\x01user=a@b.org\x01\x01"[..],
        b"user=a@b.org\x01auth=t0k\x01\x01",
        b"user=\x01auth=Bearer t\x01\x01",
    ] {
        assert_eq!(said("XOAUTH2", &[message]), [format!("XOAUTH2 {MISSHAPEN}")]);
    }
}

#[test]
fn names_alone_are_shown_if_nothing_else_can_be_meant() {
    assert_eq!(said("ANONYMOUS", &[b"al@example.org"]), ["ANONYMOUS trace=\"al@example.org\""]);
    assert_eq!(said("ANONYMOUS", &[b"hunter2"]), [format!("ANONYMOUS {MISSHAPEN}")]);
    assert_eq!(accepted("EXTERNAL", &[b"alice"]).1, "EXTERNAL authzid=\"alice\"");
    assert_eq!(said("EXTERNAL", &[b"\0alice\0hunter2"]), [format!("EXTERNAL {MISSHAPEN}")]);
    assert_eq!(accepted("OTP", &[b"\0alice"]).1, "OTP authcid=\"alice\"");
    assert_eq!(said("OTP", &[b"\0hunter2"]), [format!("OTP {MISSHAPEN}")]);
}

#[test]
fn ntlm_names_domain_user_and_workstation() {
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let mut message = b"NTLMSSP\0\x03\0\0\0".to_vec();
    message.resize(64, 0);
    message[60] = 1;
    for (at, text) in [(28, "DOM"), (36, "alice"), (44, "PC")] {
        let (octets, from) = (wide(text), message.len() as u32);
        message[at..at + 2].copy_from_slice(&(octets.len() as u16).to_le_bytes());
        message[at + 4..at + 8].copy_from_slice(&from.to_le_bytes());
        message.extend(octets);
    }
    let want = "NTLM domain=\"DOM\" user=\"alice\" workstation=\"PC\" responses=<hidden>";
    assert_eq!(said("NTLM", &[b"NTLMSSP\0\x01\0\0\0", &message]), ["NTLM negotiate", want]);
    message[40..44].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(said("NTLM", &[&message]), [format!("NTLM {MISSHAPEN}")], "an offset beyond the message");
    message[36..44].copy_from_slice(&[10, 0, 0, 0, 30, 0, 0, 0]);
    assert_eq!(said("NTLM", &[&message]), [format!("NTLM {MISSHAPEN}")], "an offset into the head");
}

#[test]
fn what_is_unknown_or_no_base64_is_hidden_whole() {
    assert_eq!(said("X-NEW", &[b"secret"]), ["X-NEW message=<hidden>"]);
    let mut exchange = Exchange::begin(b"PLAIN", 1, false);
    let broken = exchange.client(b"!!secret!!");
    assert_eq!((broken.text.as_str(), broken.hide), ("PLAIN (not base64) message=<hidden>", true));
    assert_eq!(Exchange::begin(b"GSSAPI", 1, false).server(&line(b"token")).text, "GSSAPI challenge message=<hidden>");
}

#[test]
fn everything_is_shown_on_demand() {
    let shown = Exchange::begin(b"PLAIN", 1, true).client(&line(b"\0alice\0pw"));
    assert_eq!(shown.text, "PLAIN authcid=\"alice\" pass=\"pw\"");
    assert!(shown.secrets.is_empty());
}
