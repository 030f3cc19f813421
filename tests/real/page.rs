//! A page in a real browser: it loads without an error and asks nobody for anything, nothing that a hostile server says becomes part
//! of it, its filters work, and one whose writer was killed is still a page. `IMAPSCOPE_KEEP_LOGS=FOLDER` keeps its pictures.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::peer::mail::messages;
use crate::peer::scope::Scope;
use crate::peer::server::Dovecot;
use crate::peer::{PASSWORD, PATIENCE, USER, run, signal, succeed, wait_until, wanted};

/// What a hostile server says at every occasion.
const HOSTILE: &str =
    "<script>alert(1)</script></code></style></svg><img src=http://192.0.2.1/x onerror=alert(2)>\x1b[31m\u{202e}&lt;";

/// A server that answers everything, and not well.
fn serve(listener: &TcpListener) {
    for socket in listener.incoming() {
        let mut socket = socket.expect("a client");
        thread::spawn(move || {
            let mut lines = BufReader::new(socket.try_clone().expect("a socket")).lines();
            let mut say = |text: String| socket.write_all(text.as_bytes()).is_ok();
            let mut open = say(format!("* OK [CAPABILITY IMAP4rev1 IDLE X-<b>ODD</b> AUTH=PLAIN] {HOSTILE}\r\n"));
            while let Some(Ok(line)) = lines.next().filter(|_| open) {
                let mut words = line.split(' ');
                let (tag, verb) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                thread::sleep(Duration::from_millis(5));
                open = say(match verb {
                    "LOGIN" => format!("{tag} OK [CAPABILITY IMAP4rev1 IDLE MOVE X-\"'<i>] in\r\n"),
                    "FETCH" => {
                        let body = format!("Subject: {HOSTILE}\r\n\r\n{}", "long ".repeat(900));
                        format!("* 1 FETCH (FLAGS (\\Seen) BODY[] {{{}}}\r\n{body})\r\n{tag} OK done\r\n", body.len())
                    }
                    "SEARCH" => format!("* SEARCH{}\r\n{tag} OK done\r\n", " 1000".repeat(600)),
                    "NOOP" => format!("{tag} OK fine\n"),
                    "LOGOUT" => format!("* BYE bye\r\n{tag} OK\r\n"),
                    _ => format!("* X<b>{HOSTILE}\r\n{tag} NO {HOSTILE}\r\n"),
                });
            }
        });
    }
}

/// Says these commands, and reads an answer to each.
fn talk(address: SocketAddr, commands: &[&str]) -> TcpStream {
    let mut socket = TcpStream::connect(address).expect("imapscope listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let mut lines =
        BufReader::new(socket.try_clone().expect("a socket")).split(b'\n').map(|line| line.expect("a line"));
    lines.next().expect("a greeting");
    for (number, command) in commands.iter().enumerate() {
        let tag = format!("t{number} ");
        socket.write_all(format!("{tag}{command}\r\n").as_bytes()).expect("it is read");
        lines.find(|line| line.starts_with(tag.as_bytes())).expect("an answer");
    }
    socket
}

/// The program in front of this server, with a page for its output; and where it listens.
fn start(server: SocketAddr, page: &Path) -> (Child, SocketAddr) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imapscope"));
    command.arg("proxy").arg(format!("127.0.0.1:0=imap://{server}")).args(["--drop-cap", "IDLE"]);
    command.arg("-o").arg(format!("html:{}", page.display()));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("imapscope starts");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines().map(|line| line.expect("a line"));
    let said = lines.find(|line| line.starts_with("listening on ")).expect("it listens");
    let address = said.split(" -> ").next().and_then(|text| text.rsplit("//").next()).expect("an address");
    (child, address.parse().expect("an address"))
}

/// Has a browser look at a page.
fn look(page: &Path, what: &str) {
    let name = page.file_stem().expect("a name").to_string_lossy();
    let kept = std::env::var_os("IMAPSCOPE_KEEP_LOGS").map(|folder| Path::new(&folder).join(format!("{name}-{what}")));
    let pictures = kept.unwrap_or_else(|| page.with_extension(what));
    fs::create_dir_all(&pictures).expect("a folder");
    fs::copy(page, pictures.join("page.html")).expect("a copy");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/browser.py");
    let said = succeed(Command::new("python3").arg("-B").arg(script).arg(page).arg(&pictures).arg(what));
    assert_eq!(said, b"fine\n");
    let made = fs::read_to_string(page).expect("UTF-8");
    assert!(!made.contains(PASSWORD));
}

#[test]
fn a_browser_shows_a_page_and_what_is_left_of_one() {
    if !wanted(&["chromium", "python3"]) {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
    let server = listener.local_addr().expect("an address");
    thread::spawn(move || serve(&listener));
    let folder = tempfile::tempdir().expect("a folder");
    let login = format!("LOGIN alice {PASSWORD}");
    let commands = [&login, "SELECT <b>x", "FETCH 1 BODY[]", "NOOP", "SEARCH ALL", "SORT (DATE) UTF-8 ALL", "LOGOUT"];

    let page = folder.path().join("page.html");
    let (mut scope, address) = start(server, &page);
    for _ in 0..2 {
        drop(talk(address, &commands));
    }
    wait_until("both are over", || {
        fs::read_to_string(&page).is_ok_and(|text| text.matches("<section class=conn").count() == 2)
    });
    signal(&scope, "-INT");
    assert!(scope.wait().expect("it ends").success());
    look(&page, "whole");

    let page = folder.path().join("cut.html");
    let (mut scope, address) = start(server, &page);
    let open = talk(address, &commands[..5]);
    wait_until("the last answer is written", || {
        fs::read_to_string(&page).is_ok_and(|text| text.contains("answers t4 SEARCH"))
    });
    signal(&scope, "-KILL");
    assert!(!scope.wait().expect("it ends").success());
    drop(open);
    look(&page, "cut");
}

#[test]
fn a_session_with_dovecot_under_tls_makes_a_page() {
    if !wanted(&["chromium", "python3", "dovecot", "curl", "openssl"]) {
        return;
    }
    let server = Dovecot::serving("imaps", &messages(), "");
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("dovecot.html");
    let output = format!("html:{}", page.display());
    let scope = Scope::start("imaps", server.address, &server.certificate(), &["-o", "pretty", "-o", &output]);
    for path in ["INBOX;MAILINDEX=1", "INBOX;MAILINDEX=2", "INBOX?SUBJECT plain", "Missing;MAILINDEX=1"] {
        let mut command = Command::new("curl");
        command.args(["-q", "-sS", "--noproxy", "*", "--cacert"]).arg(scope.ca());
        command.arg("-u").arg(format!("{USER}:{PASSWORD}"));
        command.arg(format!("imaps://localhost:{}/{}", scope.port, path.replace(' ', "%20")));
        // The last one is to be refused.
        assert_eq!(run(&mut command).status.success(), !path.starts_with("Missing"), "{path}");
    }
    let log = scope.end();
    let made = fs::read_to_string(&page).expect("UTF-8");
    let lines = log.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
    // The end of the run is no line of the page's log.
    let lines = lines.filter(|line| !line.contains(" connections in ")).count();
    assert_eq!(made.matches("<li id=e").count(), lines, "as many lines as in the log:\n{log}");
    for text in [
        "TLS 1.3 with the server",
        "TLS 1.3 with the client",
        "<small>TLS</small>",
        "1 refused command<",
        "<circle",
        "RFC 4959",
    ] {
        assert!(made.contains(text), "{text}");
    }
    look(&page, "whole");
}
