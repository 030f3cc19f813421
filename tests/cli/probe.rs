//! `imapscope probe` as a user runs it, against servers that say what a script says: every protocol with its stages, what a
//! hostile server may try, and every way in which it can come to nothing.

use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::secure::{End, Office, When, give, listen, soon};
use rustls::ServerConfig;
use tokio::io::AsyncReadExt;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

const PASSWORD: &str = "canary-\"Pw7\\ of-alice";

/// `\0alice\0` and the password.
const PLAIN: &str = "AGFsaWNlAGNhbmFyeS0iUHc3XCBvZi1hbGljZQ==";

/// What a server does next.
#[derive(Clone)]
enum Step {
    /// Says this.
    Say(String),
    /// Reads a line, which must be this.
    Hear(String),
    /// Begins TLS.
    Tls,
    /// Says nothing for so long, and reads to the end.
    Wait,
}

use crate::program;
use Step::{Tls, Wait};

fn say(text: &str) -> Step {
    Step::Say(text.to_owned())
}

fn hear(text: &str) -> Step {
    Step::Hear(text.to_owned())
}

/// A line is heard, and this is said.
fn answer(line: &str, text: &str) -> [Step; 2] {
    [hear(line), say(text)]
}

/// A script in short: `C: ` is heard, `S: ` is said, `TLS` begins it.
fn script(text: &str) -> Vec<Step> {
    let line = |line: &str| match line.trim_start() {
        "TLS" => Tls,
        line => match line.split_once(": ") {
            Some(("C", line)) => hear(line),
            // What is to come in one piece stands on one line.
            Some(("S", line)) => say(&format!("{}\r\n", line.replace("<CRLF>", "\r\n"))),
            _ => panic!("{line}"),
        },
    };
    text.lines().filter(|it| !it.trim().is_empty()).map(line).collect()
}

/// Serves one connection, and returns all that was heard.
async fn serve(listener: tokio::net::TcpListener, config: Arc<ServerConfig>, steps: Vec<Step>) -> Vec<String> {
    let (socket, _) = soon(listener.accept()).await.expect("a connection");
    let mut end: Box<dyn End> = Box::new(socket);
    let mut heard = Vec::new();
    for step in steps {
        match step {
            Step::Say(text) => give(&mut *end, text.as_bytes()).await,
            Step::Hear(expected) => {
                let mut line = Vec::new();
                while !line.ends_with(b"\n") {
                    match soon(end.read_u8()).await {
                        Ok(octet) => line.push(octet),
                        Err(_) => return heard,
                    }
                }
                let line = String::from_utf8(line).expect("UTF-8");
                assert_eq!(line, format!("{expected}\r\n"), "after {heard:?}");
                heard.push(line);
            }
            Tls => match soon(TlsAcceptor::from(config.clone()).accept(end)).await {
                Ok(stream) => end = Box::new(stream),
                Err(_) => return heard,
            },
            Wait => {
                let mut rest = Vec::new();
                // Closed or reset: what matters is what came.
                let _ = soon(end.read_to_end(&mut rest)).await;
                heard.push(String::from_utf8_lossy(&rest).into_owned());
            }
        }
    }
    heard
}

/// A server with a script, to be asked.
struct Stage {
    office: Office,
    address: SocketAddr,
    serving: JoinHandle<Vec<String>>,
}

/// What came of it.
struct Told {
    code: Option<i32>,
    out: String,
    said: String,
    heard: Vec<String>,
}

impl Stage {
    async fn open(steps: Vec<Step>) -> Stage {
        let office = Office::open();
        let config = office.server(&["localhost"], When::Now);
        let (listener, address) = listen().await;
        Stage { office, address, serving: tokio::spawn(serve(listener, config, steps)) }
    }

    async fn ask(self, scheme: &str, flags: &[&str]) -> Told {
        let mut command = Command::new(env!("CARGO_BIN_EXE_imapscope"));
        command.args(["probe", &format!("{scheme}://localhost:{}", self.address.port()), "--server-ca"]);
        command.arg(&self.office.ca).args(flags).stdin(Stdio::null()).env("IMAPSCOPE_PASSWORD", PASSWORD);
        for name in ["NO_COLOR", "CLICOLOR_FORCE", "SSLKEYLOGFILE"] {
            command.env_remove(name);
        }
        let output = tokio::task::spawn_blocking(move || program::output(&mut command)).await.expect("it runs");
        let Output { status, stdout, stderr } = output;
        let text = |octets| String::from_utf8(octets).expect("UTF-8");
        let heard = soon(self.serving).await.expect("the server hears what it should");
        let told = Told { code: status.code(), out: text(stdout), said: text(stderr), heard };
        for shown in [&told.out, &told.said] {
            for secret in [PASSWORD, PLAIN, "canary", "Y2FuYXJ5"] {
                assert!(!shown.contains(secret), "{secret} is shown:\n{shown}");
            }
            assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "nothing steers a terminal:\n{shown:?}");
        }
        told
    }
}

async fn told(steps: Vec<Step>, scheme: &str, flags: &[&str]) -> Told {
    Stage::open(steps).await.ask(scheme, flags).await
}

impl Told {
    fn fine(&self, parts: &[&str]) {
        assert_eq!(self.code, Some(0), "{}\n{}", self.said, self.out);
        self.has(parts);
    }

    /// All of these, in this order.
    fn has(&self, parts: &[&str]) {
        let mut rest = &self.out[..];
        for part in parts {
            let at =
                rest.find(part).unwrap_or_else(|| panic!("{part:?} is missing, or in the wrong place:\n{}", self.out));
            rest = &rest[at + part.len()..];
        }
    }

    fn failed(&self, why: &str) {
        assert_eq!(self.code, Some(1), "{}\n{}", self.said, self.out);
        assert!(self.said.starts_with("error: ") && self.said.contains(why), "{why:?}:\n{}", self.said);
    }

    fn json(&self) -> serde_json::Value {
        assert!(self.out.is_ascii());
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

const IMAP: &str = "
    S: * OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] hi
    C: a1 CAPABILITY
    S: * CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED
    S: a1 OK done
    C: a2 STARTTLS
    S: a2 OK begin
    TLS
    C: a3 CAPABILITY
    S: * CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR
    S: a3 OK done
";

const LOGGED_IN: &str = "
    C: a5 CAPABILITY
    S: * CAPABILITY IMAP4rev1 IDLE ID NOVELTY
    S: a5 OK done
    C: a6 ID NIL
    S: * ID (\"name\" \"Scripted\" \"version\" NIL)
    S: a6 OK done
    C: a7 LOGOUT
    S: * BYE bye
    S: a7 OK done
";

/// The whole of IMAP, with this answer to the login.
fn imap() -> Vec<Step> {
    let login = format!("C: a4 AUTHENTICATE PLAIN {PLAIN}\nS: a4 OK welcome");
    script(&format!("{IMAP}{login}\n{LOGGED_IN}"))
}

#[tokio::test]
async fn imap_is_told_stage_by_stage() {
    let told = told(imap(), "imap", &["--user", "alice"]).await;
    told.fine(&[
        "  | greeting: * OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] hi\n",
        "\nbefore TLS\n  | 3 capabilities:\n  |   IMAP4rev1",
        "\nafter TLS\n  TLS 1.3 with the server, TLS_",
        "  | verified: CN=a server, for localhost; by CN=Office; 2020-01-01 to 2100-01-01\n  | 3 capabilities:\n",
        "\nafter login as alice (AUTHENTICATE PLAIN)\n  | 4 capabilities:\n",
        "  |   NOVELTY ",
        "not known to this program's grammar\n",
        "\nwhat the server says it is (ID)\n  | name: Scripted\n  | version: (nothing)\n",
        "\nwhat changed with TLS\n  | + AUTH=PLAIN ",
        "  | + SASL-IR ",
        "  | - STARTTLS ",
        "  | - LOGINDISABLED ",
        "\nwhat changed with login\n  | + IDLE ",
        "RFC 2177",
        "The server can announce new mail at once",
        "  | - AUTH=PLAIN ",
    ]);
    assert_eq!(told.heard.len(), 7, "{:?}", told.heard);
    assert!(told.said.is_empty(), "{}", told.said);
}

#[tokio::test]
async fn the_object_has_stable_fields() {
    let told = told(imap(), "imap", &["--user", "alice", "--format", "json"]).await;
    told.fine(&[]);
    let object = told.json();
    assert_eq!(object["protocol"], "imap");
    assert!(object["server"].as_str().is_some_and(|it| it.starts_with("imap://localhost:")));
    let names = |nth: usize| {
        let all = object["stages"][nth]["capabilities"].as_array().expect("a list");
        all.iter().map(|it| it["name"].as_str().expect("a name").to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(0), "IMAP4rev1 STARTTLS LOGINDISABLED");
    assert_eq!((names(1).as_str(), names(2).as_str()), ("IMAP4rev1 AUTH=PLAIN SASL-IR", "IMAP4rev1 IDLE ID NOVELTY"));
    let stages: Vec<_> = (0..3).map(|nth| object["stages"][nth]["stage"].as_str().expect("a word")).collect();
    assert_eq!(stages, ["before-tls", "after-tls", "after-login"]);
    let tls = &object["stages"][1]["tls"];
    assert!(tls["starttls"] == true && tls["verified"] == true && tls["version"] == "TLS 1.3", "{tls}");
    assert_eq!(tls["certificate"]["names"][0], "localhost");
    assert_eq!(tls["certificate"]["not_after"], "2100-01-01");
    assert_eq!(object["stages"][2]["login"], serde_json::json!({ "user": "alice", "how": "AUTHENTICATE PLAIN" }));
    assert_eq!(object["stages"][2]["capabilities"][1]["rfc"], "RFC 2177");
    assert!(object["stages"][2]["capabilities"][3]["meaning"].is_null());
    assert_eq!(object["changes"][0]["gone"], serde_json::json!(["STARTTLS", "LOGINDISABLED"]));
    assert_eq!(object["id"][0], serde_json::json!({ "name": "name", "value": "Scripted" }));
    assert!(object["failed"].is_null());
}

#[tokio::test]
async fn imap_without_an_initial_response_and_without_a_mechanism() {
    let login = format!("C: a2 AUTHENTICATE PLAIN\nS: + \nC: {PLAIN}\nS: a2 OK [CAPABILITY IMAP4rev1 IDLE] in");
    let begin = "TLS\nS: * OK hi\nC: a1 CAPABILITY\nS: * CAPABILITY IMAP4rev1 AUTH=PLAIN\nS: a1 OK done";
    let rest = "C: a3 CAPABILITY\nS: * CAPABILITY IMAP4rev1 IDLE\nS: a3 OK done\nC: a4 LOGOUT\nS: a4 OK done";
    let mine = told(script(&format!("{begin}\n{login}\n{rest}")), "imaps", &["--user", "alice"]).await;
    mine.fine(&["\nunder TLS from the first octet on\n", "\nafter login as alice (AUTHENTICATE PLAIN)\n"]);
    let begin = begin.replace(" AUTH=PLAIN", "");
    let login = "C: a2 LOGIN \"alice\" \"canary-\\\"Pw7\\\\ of-alice\"\nS: a2 OK in";
    let mine = told(script(&format!("{begin}\n{login}\n{rest}")), "imaps", &["--user", "alice"]).await;
    mine.fine(&["\nafter login as alice (LOGIN)\n", "\nwhat changed with login\n  | + IDLE"]);
}

#[tokio::test]
async fn smtp_begins_anew_behind_tls_and_logs_in() {
    let begin = "S: 220-first\nS: 220 mx.example ready\nC: EHLO [127.0.0.1]\nS: 250-mx.example\nS: 250-SIZE 1000\nS: 250 STARTTLS\n\
                 C: STARTTLS\nS: 220 go\nTLS\nC: EHLO [127.0.0.1]\nS: 250-mx.example\nS: 250-SIZE 2000\nS: 250 AUTH LOGIN";
    let ways = [
        (" PLAIN", format!("C: AUTH PLAIN {PLAIN}\nS: 235 2.7.0 in"), "AUTH PLAIN"),
        (
            "",
            "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: YWxpY2U=\nS: 334 UGFzc3dvcmQ6\nC: Y2FuYXJ5LSJQdzdcIG9mLWFsaWNl\nS: 235 in"
                .to_owned(),
            "AUTH LOGIN",
        ),
    ];
    for (more, login, name) in ways {
        let rest = "C: EHLO [127.0.0.1]\nS: 250-mx.example\nS: 250-SIZE 3000\nS: 250 DSN\nC: QUIT\nS: 221 bye";
        let steps = script(&format!("{begin}{more}\n{login}\n{rest}"));
        let told = told(steps, "submission", &["--user", "alice"]).await;
        told.fine(&[
            "greeting: 220 mx.example ready\n",
            "before TLS\n",
            "  |   SIZE 1000 ",
            "after TLS\n",
            "  |   SIZE 2000 ",
            &format!("after login as alice ({name})\n"),
            "what changed with TLS\n  | + SIZE 2000 ",
            "  | - SIZE 1000 ",
            "  | - STARTTLS ",
            "what changed with login\n",
            "  | + DSN ",
        ]);
    }
}

#[tokio::test]
async fn lmtp_pop3_sieve_and_nntp_are_asked_in_their_own_words() {
    let lmtp = "S: 220 hi\nC: LHLO [127.0.0.1]\nS: 250-hi\nS: 250 PIPELINING\nC: QUIT\nS: 221 bye";
    told(script(lmtp), "lmtp", &[])
        .await
        .fine(&["without TLS\n  | 1 capability:\n  |   PIPELINING ", "does not offer STARTTLS"]);

    let pop3 = "S: +OK hi\nC: CAPA\nS: +OK\nS: STLS\nS: UIDL\nS: .\nC: STLS\nS: +OK go\nTLS\nC: CAPA\nS: +OK\nS: USER\nS: UIDL\nS: .\n\
                C: USER alice\nS: +OK\nC: PASS canary-\"Pw7\\ of-alice\nS: +OK in\nC: CAPA\nS: +OK\nS: UIDL\nS: .\nC: QUIT\nS: +OK bye";
    told(script(pop3), "pop3", &["--user", "alice"]).await.fine(&[
        "before TLS\n  | 2 capabilities:\n  |   STLS ",
        "after TLS\n",
        "after login as alice (USER and PASS)\n  | 1 capability:\n  |   UIDL ",
        "what changed with login\n  | - USER ",
    ]);

    let sieve = format!(
        "S: \"IMPLEMENTATION\" \"x\"\nS: \"STARTTLS\"\nS: OK \"hi\"\nC: CAPABILITY\nS: \"IMPLEMENTATION\" \"x\"\nS: \"STARTTLS\"\nS: OK\n\
         C: STARTTLS\nS: OK\nTLS\nS: \"SASL\" \"PLAIN\"\nS: OK\nC: CAPABILITY\nS: \"SASL\" \"PLAIN\"\nS: OK\n\
         C: AUTHENTICATE \"PLAIN\" \"{PLAIN}\"\nS: OK\nC: CAPABILITY\nS: \"SIEVE\" \"vacation\"\nS: OK\nC: LOGOUT\nS: OK"
    );
    told(script(&sieve), "sieve", &["--user", "alice"]).await.fine(&[
        "greeting: OK \"hi\"\n",
        "before TLS\n  | 2 capabilities:\n",
        "  |   STARTTLS ",
        "after TLS\n",
        "  |   AUTH=PLAIN ",
        "after login as alice (AUTHENTICATE \"PLAIN\")\n",
        "  |   SIEVE vacation ",
    ]);

    let nntp = "S: 200 hi\nC: CAPABILITIES\nS: 101 list\nS: VERSION 2\nS: READER\nS: .\nC: QUIT\nS: 205 bye";
    told(script(nntp), "nntp", &[]).await.fine(&["without TLS\n  | 2 capabilities:\n", "  |   READER "]);
}

#[tokio::test]
async fn starttls_is_left_alone_or_required_as_the_user_wants() {
    let steps = script(IMAP)[..4].to_vec();
    let bye = answer("a2 LOGOUT", "a2 OK done\r\n").to_vec();
    let mine = told([steps, bye].concat(), "imap", &["--starttls", "never"]).await;
    mine.fine(&["without TLS\n", "LOGINDISABLED"]);
    assert!(!mine.out.contains("after TLS"));
    for flags in [&["--starttls", "required"][..], &[]] {
        let scheme = if flags.is_empty() { "imap+starttls" } else { "imap" };
        let steps = script("S: * OK hi\nC: a1 CAPABILITY\nS: * CAPABILITY IMAP4rev1\nS: a1 OK done");
        let mine = told([steps, vec![Wait]].concat(), scheme, flags).await;
        mine.failed("the server does not offer STARTTLS, which is required");
        mine.has(&["without TLS\n  | 1 capability:\n"]);
    }
    let refuses = script(
        "S: * OK hi\nC: a1 CAPABILITY\nS: * CAPABILITY IMAP4rev1 STARTTLS\nS: a1 OK done\nC: a2 STARTTLS\nS: a2 NO not \x1bnow",
    );
    let mine = told([refuses, vec![Wait]].concat(), "imap", &[]).await;
    mine.failed("the server refuses STARTTLS, it said \"a2 NO not \\x1bnow\"");
}

#[tokio::test]
async fn a_password_goes_nowhere_without_tls_unless_insecure() {
    let steps = script("S: * OK hi\nC: a1 CAPABILITY\nS: * CAPABILITY IMAP4rev1\nS: a1 OK done");
    let mine = told([steps.clone(), vec![Wait]].concat(), "imap", &["--user", "alice"]).await;
    mine.failed("the server has no TLS, so the password was not sent: everybody on the way could read it; --insecure");
    assert_eq!(mine.heard.last().map(String::as_str), Some(""), "nothing more was sent");
    let rest = "C: a2 LOGIN \"alice\" \"canary-\\\"Pw7\\\\ of-alice\"\nS: a2 OK in\nC: a3 CAPABILITY\nS: a3 OK done\nC: a4 LOGOUT";
    told([steps, script(rest)].concat(), "imap", &["--user", "alice", "--insecure"])
        .await
        .fine(&["after login as alice (LOGIN)\n  | no list of capabilities\n"]);
    // A server that is not verified gets nothing of it either.
    let stage = Stage::open([vec![Tls], vec![Wait]].concat()).await;
    let other = Office::open();
    let ca = other.ca.display().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_imapscope"));
    command.args([
        "probe",
        &format!("imaps://localhost:{}", stage.address.port()),
        "--server-ca",
        &ca,
        "--user",
        "alice",
    ]);
    command.env("IMAPSCOPE_PASSWORD", PASSWORD).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || program::output(&mut command)).await.expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("is not accepted: "), "{said}");
    assert!(output.stdout.is_empty(), "there is nothing to tell");
}

#[tokio::test]
async fn a_refused_login_is_told_and_an_echo_is_masked() {
    let begin = IMAP.replace("AUTH=PLAIN SASL-IR", "AUTH=PLAIN");
    let echo = format!("S: * OK you are {PASSWORD}\nS: a4 NO [AUTHENTICATIONFAILED] {PASSWORD} is wrong, {PLAIN} too");
    let refused = script(&format!("{begin}\nC: a4 AUTHENTICATE PLAIN\nS: + \nC: {PLAIN}\n{echo}"));
    for flags in [&["--user", "alice"][..], &["--user", "alice", "--format", "json"]] {
        let mine = told([refused.clone(), vec![Wait]].concat(), "imap", flags).await;
        mine.failed("the server refuses the login (AUTHENTICATE PLAIN), it said \"a4 NO [AUTHENTICATIONFAILED] <hidden> is wrong, <hidden> too\"");
        if flags.len() > 2 {
            assert!(mine.json()["failed"].as_str().is_some_and(|why| why.contains("refuses the login")));
        }
    }
    // An error as a challenge is cancelled, and what comes then counts.
    let challenge = format!(
        "{begin}\nC: a4 AUTHENTICATE PLAIN\nS: + \nC: {PLAIN}\nS: + eyJzdGF0dXMiOiI0MDEifQ==\nC: *\nS: a4 NO no"
    );
    told([script(&challenge), vec![Wait]].concat(), "imap", &["--user", "alice"]).await.failed("it said \"a4 NO no\"");
    // And everywhere else where a server may say it.
    let shown = script(&format!(
        "{IMAP}\nC: a4 AUTHENTICATE PLAIN {PLAIN}\nS: a4 OK in\nC: a5 CAPABILITY\n\
         S: * CAPABILITY IMAP4rev1 ID X={PLAIN} Y={PASSWORD}\nS: a5 OK done\nC: a6 ID NIL\n\
         S: * ID (\"name\" \"canary-\\\"Pw7\\\\ of-alice\" \"os\" \"{PLAIN}\")\nS: a6 OK done\nC: a7 LOGOUT"
    ));
    for format in ["text", "json"] {
        told(shown.clone(), "imap", &["--user", "alice", "--format", format]).await.fine(&["X=<hidden>"]);
    }
    let none = IMAP.replace("AUTH=PLAIN SASL-IR", "LOGINDISABLED AUTH=GSSAPI");
    let mine = told([script(&none), vec![Wait]].concat(), "imap", &["--user", "alice"]).await;
    mine.failed("offers no way to log in that a probe knows");
}

#[tokio::test]
async fn hostile_words_are_escaped_and_floods_end() {
    let steps = script(
        "S: * OK \x1b[2J\u{202e}hi\nC: a1 CAPABILITY\nS: * CAPABILITY IMAP4rev1 X\x1b[31m \u{9b}31m\nS: a1 OK done\nC: a2 LOGOUT",
    );
    for format in ["text", "json"] {
        told(steps.clone(), "imap", &["--format", format]).await.fine(&["hi", "X\\"]);
    }
    let many: String = (0..2000).map(|nth| format!(" X{nth}")).collect();
    let steps = script(&format!("S: * OK hi\nC: a1 CAPABILITY\nS: * CAPABILITY{many}\nS: a1 OK done\nC: a2 LOGOUT"));
    told(steps, "imap", &[]).await.fine(&["256 capabilities:", "  | and 1744 more names\n"]);
    let flood = format!("* OK hi\r\n{}", "* 1 EXISTS\r\n".repeat(200_000));
    let steps = vec![say("* OK hi\r\n"), hear("a1 CAPABILITY"), say(&flood), Wait];
    let stage = Stage::open(steps).await;
    // What does not fit into the buffers of the system is never written, and the server ends with us.
    let (serving, address, office) = (stage.serving, stage.address, stage.office);
    let idle = Stage { office, address, serving: tokio::spawn(async { Vec::new() }) };
    idle.ask("imap", &[]).await.failed("the server says more than can be an answer");
    serving.abort();
}

#[tokio::test]
async fn what_is_slipped_in_before_tls_is_told_and_not_believed() {
    let text = IMAP.replace("S: a2 OK begin", "S: a2 OK begin<CRLF>* CAPABILITY IMAP4rev1 X-SLIPPED-IN");
    let rest = "C: a4 LOGOUT\nS: a4 OK done";
    let told = told(script(&format!("{text}{rest}")), "imap", &[]).await;
    told.fine(&["after TLS\n", "what was strange\n  ! "]);
    assert!(!told.out.contains("  |   X-SLIPPED-IN"), "{}", told.out);
}

#[tokio::test]
async fn who_has_logged_in_already_is_told() {
    let steps =
        script("S: * PREAUTH hi\nC: a1 CAPABILITY\nS: * CAPABILITY IMAP4rev1 STARTTLS\nS: a1 OK done\nC: a2 LOGOUT");
    told(steps.clone(), "imap", &["--user", "alice"]).await.fine(&["without TLS\n", "(PREAUTH)"]);
    let steps = [steps[..4].to_vec(), vec![Wait]].concat();
    told(steps, "imap", &["--starttls", "required"]).await.failed("PREAUTH, after which TLS cannot begin");
}

#[tokio::test]
async fn a_list_that_came_unasked_counts_where_the_question_has_none() {
    let greeted = "S: * OK [CAPABILITY IMAP4rev1 IDLE] hi\nC: a1 CAPABILITY\nS: a1 OK done\nC: a2 LOGOUT\nS: a2 OK";
    told(script(greeted), "imap", &[]).await.fine(&["  | 2 capabilities:\n", "the one shown came unasked"]);
    let refused = greeted.replace("a1 OK done", "a1 BAD what?");
    told(script(&refused), "imap", &[]).await.fine(&["  | 2 capabilities:\n", "the one shown came unasked"]);
    // What was offered in plain text is not what is offered under TLS.
    let behind = "S: * OK [CAPABILITY IMAP4rev1 STARTTLS] hi\nC: a1 CAPABILITY\nS: a1 OK done\nC: a2 STARTTLS\nS: a2 OK begin\n\
                  TLS\nC: a3 CAPABILITY\nS: a3 OK done\nC: a4 LOGOUT\nS: a4 OK";
    let told = told(script(behind), "imap", &[]).await;
    let after = told.out.split("\nafter TLS\n").nth(1).unwrap_or_default();
    assert!(!after.is_empty() && !after.contains("  |   STARTTLS"), "{}", told.out);
}

#[tokio::test]
async fn whatever_comes_to_nothing_is_a_sentence() {
    let cases: [(&str, Vec<Step>, &str); 7] = [
        ("imap", vec![], "the server ended the connection"),
        ("imap", script("S: * BYE too many"), "the server does not want to talk to us, it said \"* BYE too many\""),
        ("smtp", script("S: 554 no service"), "it said \"554 no service\""),
        (
            "smtp",
            [script("S: +OK hi"), vec![Wait]].concat(),
            "does not greet as a server of SMTP: the server speaks POP3: ",
        ),
        ("imap", [script("S: HTTP/1.1 400 Bad Request"), vec![Wait]].concat(), "does not greet as a server of IMAP: "),
        ("imap", script("S: * OK hi\nC: a1 CAPABILITY\nS: * BYE going"), "it said \"* BYE going\""),
        (
            "smtp",
            [script("S: 220 hi\nC: EHLO [127.0.0.1]\nS: 502 what?"), vec![Wait]].concat(),
            "the server refuses EHLO [127.0.0.1], it said \"502 what?\"",
        ),
    ];
    for (scheme, steps, why) in cases {
        told(steps, scheme, &[]).await.failed(why);
    }
    let begun = Instant::now();
    let mine = told(vec![Wait], "imap", &["--connect-timeout", "300ms"]).await;
    mine.failed("the server did not greet within 0.3 s: does this port want TLS at once");
    let mine = told(vec![say("* OK hi\r\n"), Wait], "imap", &["--connect-timeout", "300ms"]).await;
    mine.failed("the server did not answer within 0.3 s");
    assert!(begun.elapsed() < Duration::from_secs(20));
    let mine = told(vec![Tls, Wait], "imaps", &["--connect-timeout", "300ms"]).await;
    mine.failed("the server did not greet within 0.3 s\n");
    mine.has(&["under TLS from the first octet on\n  TLS 1.3 with the server"]);
    told(vec![say("* OK hi\r\n"), Wait], "imaps", &[]).await.failed("does not speak TLS on this port");
    let mine = told(script(IMAP)[..6].iter().cloned().chain([say("no TLS\r\n"), Wait]).collect(), "imap", &[]).await;
    mine.failed("agreed to STARTTLS and");
    // A port that nobody has, for as long as it is bound.
    let bound = tokio::net::TcpSocket::new_v4().expect("a socket");
    bound.bind("127.0.0.1:0".parse().expect("an address")).expect("loopback can be bound");
    let url = format!("imap://{}", bound.local_addr().expect("an address"));
    let run = move || program::output(Command::new(env!("CARGO_BIN_EXE_imapscope")).args(["probe", &url]));
    let output = tokio::task::spawn_blocking(run).await.expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("connection refused"), "{said}");
}

#[test]
fn what_cannot_be_meant_is_refused_before_a_socket_opens() {
    let refused = |arguments: &[&str], password: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_imapscope"));
        let output = program::output(command.arg("probe").args(arguments).env("IMAPSCOPE_PASSWORD", password));
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}: {said}");
        said
    };
    for (arguments, what) in [
        (&["localhost"][..], "has no scheme"),
        (&["irc://h"], "a probe does not know what to say in irc"),
        (&["imaps+starttls://h"], "not known"),
        (&["imap+starttls://h", "--starttls", "never"], "--starttls never"),
        (&["imap://h", "--user", "alice", "--starttls", "never"], "unprotected"),
        (&["nntp://h", "--user", "alice"], "does not know how to log in with nntp"),
        (&["imap://h", "--user", "a\r\nb"], "no user name"),
        (&["imaps://h", "--server-ca", "/nonexistent/ca.pem"], "/nonexistent/ca.pem"),
        (&["imap://h", "--format", "xml"], "json"),
    ] {
        let said = refused(arguments, "x");
        assert!(said.contains(what), "{what}: {said}");
    }
    let said = refused(&["imap://alice:hunter22@h"], "x");
    assert!(said.contains("--user alice") && !said.contains("hunter22"), "{said}");
    assert!(refused(&["imaps://h", "--insecure", "--user", "alice"], "").contains("IMAPSCOPE_PASSWORD: it is empty"));
    let said = refused(&["imaps://h", "--insecure", "--user", "alice"], "can\r\nary");
    assert!(said.contains("line break") && !said.contains("ary"), "{said}");
}
