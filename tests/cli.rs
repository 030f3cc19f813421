//! The program as a user runs it: flags, messages, exit codes, and whole sessions through the built binary.

mod program;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

/// No wait takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

fn imapscope(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imapscope"));
    command.args(arguments).stdin(Stdio::null());
    for name in ["NO_COLOR", "CLICOLOR_FORCE", "CLICOLOR", "IMAPSCOPE_LOG"] {
        command.env_remove(name);
    }
    command
}

fn run(arguments: &[&str]) -> Output {
    program::output(&mut imapscope(arguments))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is UTF-8")
}

/// Runs a command line that is wrong; returns what is said of it.
fn refused(arguments: &[&str]) -> String {
    let output = run(arguments);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    assert!(!said.contains("listening"), "no socket is opened: {said}");
    assert!(output.stdout.is_empty(), "nothing goes to standard output");
    said
}

/// A proxy that was started, and ends with the test.
struct Scope {
    child: Child,
    lines: mpsc::Receiver<String>,
    address: SocketAddr,
}

impl Scope {
    fn start(server: SocketAddr, flags: &[&str]) -> Scope {
        let route = format!("127.0.0.1:0=imap://{server}");
        let mut arguments = vec!["proxy", &route];
        arguments.extend(flags);
        let mut child =
            imapscope(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let stderr = child.stderr.take().expect("standard error is piped");
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let address = loop {
            let line = lines.recv_timeout(PATIENCE).expect("the address is printed");
            if let Some(rest) = line.strip_prefix("listening on imap://") {
                let (address, to) = rest.split_once(" -> ").expect("the line names both ends");
                assert_eq!(to, format!("imap://{server}"));
                break address.parse().expect("an address and a port");
            }
        };
        Scope { child, lines, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the proxy listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream
    }

    /// Ctrl-C; returns the exit code, the log, and what else was said.
    fn interrupt(mut self) -> (Option<i32>, String, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill runs").success());
        let deadline = Instant::now() + PATIENCE;
        let mut out = self.child.stdout.take().expect("standard output is piped");
        let reader = thread::spawn(move || {
            let mut log = String::new();
            out.read_to_string(&mut log).map(|_| log)
        });
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("the child can be asked") {
                break status;
            }
            assert!(Instant::now() < deadline, "the proxy ends in time");
            thread::sleep(Duration::from_millis(10));
        };
        let log = reader.join().expect("the reader ends").expect("the log is UTF-8");
        (status.code(), log, self.lines.iter().collect::<Vec<_>>().join("\n"))
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server of one connection that sends its greeting and then answers line by line; empty answers are not sent.
fn server(greeting: &'static str, answer: fn(&str) -> String) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback can be listened on");
    let address = listener.local_addr().expect("it has an address");
    thread::spawn(move || {
        let (stream, _) = listener.accept()?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut stream = stream;
        stream.write_all(greeting.as_bytes())?;
        let mut line = String::new();
        while reader.read_line(&mut line)? > 0 {
            stream.write_all(answer(&line).as_bytes())?;
            line.clear();
        }
        std::io::Result::Ok(())
    });
    address
}

/// An address at which nobody listens, for as long as the socket is kept: a free port could be another test's next.
fn nobody() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a port");
    let address = socket.local_addr().ok().and_then(|address| address.as_socket()).expect("an address");
    (socket, address)
}

fn line(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).expect("a line comes in time");
    line
}

#[test]
fn a_wrong_route_is_refused_before_a_socket_opens() {
    let said = refused(&["proxy", "mail.example.org"]);
    assert!(said.contains("route 'mail.example.org'") && said.contains("imap://mail.example.org"), "{said}");
    assert!(refused(&["proxy", "irc+starttls://irc.example.org"]).contains("does not say how TLS begins"));
    assert!(refused(&["proxy", "gopher://mail.example.org"]).contains("not known"));
    assert!(refused(&["proxy"]).contains("ROUTE"));
}

#[test]
fn every_protocol_has_its_scheme() {
    let said = refused(&["proxy", "pop3://"]);
    assert!(said.contains("pop3://HOST[:PORT]"), "{said}");
    let said = refused(&["proxy", "smtps+starttls://mail.example.org"]);
    assert!(said.contains("'smtps+starttls' is not known") && said.contains("submissions"), "{said}");
    let said = refused(&["proxy", "smtpp://mail.example.org"]);
    assert!(
        said.contains("did you mean smtp?") && said.contains("lmtp, pop3, managesieve, sieve, nntp, irc"),
        "{said}"
    );
    let said = refused(&["proxy", "submission://one.example", ":1587=smtp://two.example"]);
    assert!(said.contains("'submission://one.example' listens on 127.0.0.1:1587 already"), "{said}");
}

/// Starts the program, reads `count` lines of what it says, and ends it.
fn first_lines(arguments: &[&str], count: usize) -> Vec<String> {
    let mut child = imapscope(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let said = BufReader::new(child.stderr.take().expect("piped"));
    let lines = said.lines().take(count).map_while(Result::ok).collect();
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    lines
}

#[test]
fn what_hides_a_layer_fits_every_protocol_without_a_warning() {
    for scheme in ["imap", "smtp", "pop3", "sieve", "nntp"] {
        let route = format!("127.0.0.1:0={scheme}://127.0.0.1:9");
        let said = first_lines(&["proxy", &route, "--starttls", "hide", "--compress", "hide"], 1);
        assert!(said[0].starts_with("listening on "), "{said:?}");
    }
    assert!(refused(&["proxy", "imap://mail.example.org", "--compress", "off"]).contains("decode, hide"));
}

#[test]
fn routes_are_printed_with_the_scheme_that_was_written() {
    let (_held, nobody) = nobody();
    let routes = ["submission", "sieve", "pop3"].map(|scheme| format!("127.0.0.1:0={scheme}://{nobody}"));
    let flags = ["proxy", &routes[0], &routes[1], &routes[2], "--drop-cap", "SIZE,UIDL,NOTIFY,AUTH=PLAIN"];
    let lines = first_lines(&flags, 3);
    for (line, scheme) in lines.iter().zip(["submission", "sieve", "pop3"]) {
        assert!(
            line.starts_with(&format!("listening on {scheme}://127.0.0.1:")),
            "no warning, and in order: {lines:?}"
        );
        assert!(line.ends_with(&format!(" -> {scheme}://{nobody}")), "{lines:?}");
    }
}

#[test]
fn a_description_of_ones_own_is_a_protocol() {
    let (_held, nobody) = nobody();
    let ftp = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/ftp.toml");
    let route = format!(":0=ftp://{nobody}");
    let lines = first_lines(&["proxy", "--grammar", ftp, &route], 1);
    assert!(
        lines[0].starts_with("listening on ftp://127.0.0.1:") && lines[0].ends_with(&nobody.to_string()),
        "{lines:?}"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("more.toml");
    std::fs::write(&file, "extends = \"imap\"\n[capability.X-NOTES]\ndoes = \"Notes.\"\nrfc = \"vendor: Us\"\n")
        .expect("a file");
    let (file, route) = (file.display().to_string(), format!(":0=imap://{nobody}"));
    let lines = first_lines(&["proxy", "--grammar", &file, &route, "--drop-cap", "X-NOTES"], 1);
    assert!(lines[0].starts_with("listening on imap://"), "the capability is known: {lines:?}");
    let output = run(&["explain", "X-NOTES", "--grammar", &file]);
    assert!(output.status.success() && text(&output.stdout).contains("Notes."), "{}", text(&output.stdout));
    let output = run(&["explain", "--grammar", ftp, "PASV"]);
    assert!(output.status.success() && text(&output.stdout).contains("command of FTP"), "{}", text(&output.stdout));
}

#[test]
fn a_wrong_description_is_told_in_full_before_a_socket_opens() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine.toml");
    let path = file.display().to_string();
    let with = |content: &str| {
        std::fs::write(&file, content).expect("a file");
        refused(&["proxy", "--grammar", &path, "imap://h"])
    };
    let said = with("extends = \"imap\"\n[command.XYZ]\ndose = \"x\"\n[command.ABC]\nthen = \"dance\"\n");
    for expected in ["mine.toml:3:1", "dose", "mine.toml:5:", "dance", "problems"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let own = "title = \"Mine\"\nport = 7000\n";
    let said = with(&format!("name = \"pop3\"\n{own}"));
    assert!(said.contains("'pop3'") && said.contains("another name") && said.contains("extends"), "{said}");
    assert!(with(&format!("name = \"sieve\"\n{own}")).contains("another name"));
    let said = refused(&["proxy", "--grammar", "/nonexistent/x.toml", "imap://h"]);
    assert!(said.contains("/nonexistent/x.toml") && said.contains("cannot be read"), "{said}");
}

#[test]
fn a_port_that_has_none_above_it_needs_an_explicit_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("far.toml");
    std::fs::write(&file, "name = \"far\"\ntitle = \"Far\"\nport = 65000\n").expect("a file");
    let said = refused(&["proxy", "--grammar", &file.display().to_string(), "far://h"]);
    assert!(said.contains("65000") && said.contains("=far://h"), "{said}");
}

#[test]
fn two_routes_cannot_have_one_port() {
    let said = refused(&["proxy", "imap://one.example", "imap://two.example:1430"]);
    assert!(said.contains("'imap://one.example' listens on 127.0.0.1:1143 already"), "{said}");
    assert!(said.contains(":1144=imap://two.example:1430"), "{said}");
}

#[test]
fn a_wrong_rule_is_refused_with_its_place_and_remedy() {
    let said = refused(&["proxy", "imap://h", "--rule", "drop-capability IDLE when form == server"]);
    assert!(said.contains("--rule 1:") && said.contains('^') && said.contains("from"), "{said}");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("rules.txt");
    std::fs::write(&file, "# fine so far\ndrop-capability IDLE\n\ns/(/x/\n").expect("a file");
    let said = refused(&["proxy", "imap://h", "--rules", &file.display().to_string()]);
    assert!(said.contains("rules.txt:4"), "{said}");
    let said = refused(&["proxy", "imap://h", "--rules", "/nonexistent/rules"]);
    assert!(said.contains("/nonexistent/rules") && said.contains("cannot be read"), "{said}");
}

#[test]
fn a_wrong_output_is_refused() {
    assert!(refused(&["proxy", "imap://h", "-o", "petty:x"]).contains("pcapng"));
    assert!(refused(&["proxy", "imap://h", "-o", "pretty", "-o", "pretty:-"]).contains("same place"));
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept.log");
    std::fs::write(&kept, "an older log").unwrap();
    let output = format!("pretty:{}", kept.display());
    assert!(refused(&["proxy", "imap://h", "-o", &output, "-o", &output]).contains("same place"));
    let again = format!("pretty:{}", kept.with_file_name(".").join(kept.file_name().expect("a name")).display());
    assert!(refused(&["proxy", "imap://h", "-o", &output, "-o", &again]).contains("same place"));
    assert!(refused(&["proxy", "imap://h", "-o", &output, "-o", "petty"]).contains("petty"));
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), "an older log", "a wrong command line empties nothing");
    assert!(refused(&["proxy", "imap://h", "--color", "sometimes"]).contains("always"));
    assert!(refused(&["proxy", "imap://h", "--body", "some"]).contains("--body"));
    assert!(refused(&["proxy", "imap://h", "--idle-timeout", "soon"]).contains("30s"));
    assert!(
        refused(&["proxy", "imap://h", "-o", "pretty:/nonexistent/folder/log"]).contains("/nonexistent/folder/log")
    );
}

#[test]
fn outputs_for_programs_hold_a_session_and_hide_its_secrets() {
    let server = server("* OK hi\r\n", |line| format!("{} NO no\r\n", line.split(' ').next().unwrap_or_default()));
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path().join("raw");
    let raw = format!("raw:{}", folder.display());
    let scope = Scope::start(server, &["-o", "json", "-o", &raw]);
    let mut stream = scope.connect();
    let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
    line(&mut reader);
    stream.write_all(b"a1 LOGIN alice s3cr3t-canary\r\n").expect("sent");
    line(&mut reader);
    let (code, log, _) = scope.interrupt();
    assert_eq!(code, Some(0));
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let login = lines.iter().find(|line| line["command"] == "LOGIN").expect("the command");
    assert_eq!(login["text"], "a1 LOGIN alice <hidden>");
    let said = |side: &str| std::fs::read(folder.join(format!("000001-{side}.raw"))).expect("a file");
    assert_eq!(text(&said("client")), "a1 LOGIN alice *************\r\n");
    assert_eq!(text(&said("server")), "* OK hi\r\na1 NO no\r\n");
    assert_eq!([mode(&folder), mode(&folder.join("000001-client.raw"))], [0o700, 0o600]);
    assert!(refused(&["proxy", "imap://h", "-o", &raw]).contains("not empty"), "sessions are not mixed");
    assert!(refused(&["proxy", "imap://h", "-o", "raw"]).contains("raw:FOLDER"));
    assert!(refused(&["proxy", "imap://h", "-o", "bodies:-"]).contains("bodies:FOLDER"));
    let schema: serde_json::Value =
        serde_json::from_slice(&run(&["explain", "--json-schema"]).stdout).expect("the schema is JSON");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

#[test]
fn a_port_in_use_is_a_clear_failure() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback can be listened on");
    let route = format!("{}=imap://127.0.0.1:1", taken.local_addr().expect("it has an address"));
    let folder = tempfile::tempdir().expect("a folder");
    let kept = folder.path().join("kept.log");
    std::fs::write(&kept, "an older log").expect("a file");
    let output = run(&["proxy", &route, "-o", &format!("pretty:{}", kept.display())]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("another program has this port"), "{}", text(&output.stderr));
    assert_eq!(std::fs::read_to_string(&kept).expect("it is there"), "an older log");
}

#[test]
fn a_session_is_relayed_shown_and_summed_up() {
    let server = server("* OK [CAPABILITY IMAP4rev1 IDLE MOVE] hi\r\n", |line| {
        let tag = line.split(' ').next().unwrap_or_default();
        format!("{tag} OK [CAPABILITY IMAP4rev1 IDLE MOVE UIDPLUS] done\r\n")
    });
    let scope = Scope::start(server, &["--drop-cap", "IDLE"]);
    let mut stream = scope.connect();
    let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
    assert_eq!(line(&mut reader), "* OK [CAPABILITY IMAP4rev1 MOVE] hi\r\n");
    stream.write_all(b"a1 LOGIN alice s3cr3t-canary\r\n").expect("sent");
    assert_eq!(line(&mut reader), "a1 OK [CAPABILITY IMAP4rev1 MOVE UIDPLUS] done\r\n");
    let (code, log, said) = scope.interrupt();
    assert_eq!(code, Some(0), "{log}{said}");
    for expected in ["LOGIN alice", "--drop-cap IDLE", "IDLE", "imapscope ended"] {
        assert!(log.contains(expected), "{expected} is in the log:\n{log}");
    }
    assert!(!log.contains("s3cr3t-canary") && !said.contains("s3cr3t-canary"), "no password is shown:\n{log}");
    assert!(!log.contains('\x1b'), "no colour goes into a pipe");
}

#[test]
fn secrets_are_shown_only_on_demand_and_files_are_private() {
    let server = server("* OK hi\r\n", |line| format!("{} NO no\r\n", line.split(' ').next().unwrap_or_default()));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("log");
    let output = format!("pretty:{}", file.display());
    let scope = Scope::start(server, &["--show-secrets", "-o", &output]);
    let mut stream = scope.connect();
    let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
    line(&mut reader);
    stream.write_all(b"a1 LOGIN alice s3cr3t-canary\r\n").expect("sent");
    line(&mut reader);
    let (code, log, _) = scope.interrupt();
    assert_eq!(code, Some(0));
    assert!(log.is_empty(), "with -o, the log goes there only: {log}");
    assert!(std::fs::read_to_string(&file).expect("the log was written").contains("s3cr3t-canary"));
    assert_eq!(mode(&file), 0o600);
}

#[cfg(unix)]
fn mode(file: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).expect("the file is there").permissions().mode() & 0o777
}

#[test]
fn a_server_that_cannot_be_reached_is_named_and_nothing_ends() {
    let (_held, nobody) = nobody();
    let scope = Scope::start(nobody, &[]);
    for _ in 0..2 {
        let mut rest = Vec::new();
        // Closed or reset: what matters is that it does not hang.
        let _ = scope.connect().read_to_end(&mut rest);
        assert!(rest.is_empty());
    }
    let (code, log, _) = scope.interrupt();
    assert_eq!(code, Some(0));
    assert_eq!(log.matches(&format!("{nobody}")).count().min(2), 2, "each attempt is explained:\n{log}");
    assert!(log.contains("refused"), "{log}");
}

#[test]
fn an_unknown_capability_is_a_warning() {
    let (_held, nobody) = nobody();
    let route = format!(":0=imap://{nobody}");
    let mut child =
        imapscope(&["proxy", &route, "--drop-cap", "CONSTORE"]).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut first = String::new();
    BufReader::new(child.stderr.take().expect("piped")).read_line(&mut first).expect("a line");
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert!(first.contains("CONSTORE") && first.contains("did you mean CONDSTORE"), "{first}");
}

#[test]
fn a_filter_shows_what_matches_and_a_wrong_one_is_refused() {
    let output = run(&["demo", "-f", "command == SELECT && from == server", "--time", "none"]);
    let log = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{log}");
    let lines: Vec<&str> = log.lines().filter(|line| line.starts_with("#1 S") || line.starts_with("#1 C")).collect();
    assert_eq!(lines.len(), 4, "{log}");
    assert!(lines[3].ends_with("a2 OK [READ-WRITE] Select completed"), "{log}");
    assert!(log.contains("not shown: ") && log.contains("| LOGOUT "), "the summary is whole: {log}");
    let said = refused(&["proxy", "imap://mail.example.org", "-f", "latency > 200"]);
    assert!(said.contains("--filter:11") && said.contains("^^^") && said.contains("200ms"), "{said}");
    assert!(refused(&["demo", "-f", "size >"]).contains("--filter:7"));
    let said = refused(&["proxy", "imap://mail.example.org", "--rule", "drop when latency > 1s"]);
    assert!(said.contains("is not known when a rule runs"), "{said}");
    let (_held, nobody) = nobody();
    let route = format!("127.0.0.1:0=imap://{nobody}");
    let said = first_lines(&["proxy", &route, "-f", "protocol == imaps || route == 2"], 2);
    assert!(said[0].contains("did you mean imap?") && said[1].contains("no route 2"), "{said:?}");
}

#[test]
fn another_server_s_capabilities_come_from_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a, b.log");
    let path = file.to_str().expect("UTF-8");
    std::fs::write(&file, b"\xff\n* CAPABILITY IMAP4rev1 IDLE CONSTORE\n").expect("a file");
    let (_held, nobody) = nobody();
    let route = format!("127.0.0.1:0=imap://{nobody}");
    let said = first_lines(&["proxy", &route, "--caps-like", path, "--add-cap", "X-A"], 3);
    assert!(said[0].contains("no capability CONSTORE is known"), "{said:?}");
    assert!(said[1].starts_with("warning: --add-cap X-A: a server that does not have X-A"), "{said:?}");
    assert!(said[2].starts_with("listening"), "{said:?}");
    let recording = concat!(
        r#"{"imapscope":1,"protocols":{"imap":"imap"}}"#,
        "\n",
        r#"{"at":1,"conn":1,"from":"server","frame":1,"line":"* CAPABILITY IMAP4rev1 IDEL"}"#,
        "\n"
    );
    std::fs::write(&file, recording).expect("a file");
    let said = first_lines(&["proxy", &route, "--caps-like", path], 1);
    assert!(said[0].contains("no capability IDEL is known"), "{said:?}");
    for (content, what) in [("{\"imapscope\":1}\n", "there is no name in"), ("# none\n", "there is no name in")] {
        std::fs::write(&file, content).expect("a file");
        let said = refused(&["proxy", "imap://mail.example.org", "--caps-like", path]);
        assert!(said.contains("--caps-like") && said.contains(what), "{said}");
    }
    assert!(refused(&["proxy", "imap://h", "--caps-like", "/nowhere/x"]).contains("/nowhere/x cannot be read"));
    // What has no end is not read to it.
    assert!(refused(&["proxy", "imap://h", "--caps-like", "/dev/zero"]).contains("longer than 16 MiB"));
    assert!(refused(&["proxy", "imap://h", "--rules", "/dev/zero"]).contains("longer than 16 MiB"));
    std::fs::write(&file, b"drop\n# \xff\n").expect("a file");
    assert!(refused(&["proxy", "imap://h", "--rules", path]).contains("line 2 is not UTF-8"));
}

#[test]
fn words_of_rules_are_explained_with_an_example() {
    for (word, expected) in [
        ("drop-capability", "drop-capability IDLE AUTH=* enforced"),
        ("chance", "chance 10%"),
        ("client", "without its port"),
        ("s/a/b/", "RECENT/ when from == server"),
    ] {
        let output = run(&["explain", word]);
        assert_eq!(output.status.code(), Some(0), "{word}");
        assert!(text(&output.stdout).contains(expected), "{word}: {}", text(&output.stdout));
    }
    assert!(text(&run(&["explain", "insert-befor"]).stdout).contains("insert-before"));
}

/// The next line that the program says, and begins like this.
fn told(scope: &Scope, start: &str) -> String {
    loop {
        let line = scope.lines.recv_timeout(PATIENCE).expect("it is said in time");
        if line.starts_with(start) {
            return line;
        }
    }
}

#[test]
fn rules_that_come_with_a_hangup_are_warned_about_and_their_seed_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("rules");
    std::fs::write(&file, "").expect("a file");
    let address = (Ipv4Addr::LOCALHOST, 9).into();
    let scope = Scope::start(address, &["--rules", file.to_str().expect("UTF-8")]);
    std::fs::write(&file, "drop-capability IDEL\nrefuse NOPO chance 50%\n").expect("a file");
    let id = scope.child.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &id]).status().expect("kill runs").success());
    told(&scope, "the rules were read again");
    told(&scope, "the chances of rules have the seed ");
    assert!(told(&scope, "warning: no capability IDEL").contains("did you mean IDLE?"));
    assert!(told(&scope, "warning: no command NOPO").contains("did you mean NOOP?"));
}

#[test]
fn a_hangup_reads_the_rules_again_and_wrong_ones_change_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, names) = (folder.path().join("rules"), folder.path().join("names"));
    let (rules, names_path) = (file.to_str().expect("UTF-8"), names.to_str().expect("UTF-8"));
    std::fs::write(&names, "A # the first\n").expect("a file");
    std::fs::write(&file, format!("drop-capability @{names_path}\ns/never/x/ chance 1%\n")).expect("a file");
    let hangup = |scope: &Scope| {
        let id = scope.child.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &id]).status().expect("kill runs").success());
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback can be listened on");
    let address = listener.local_addr().expect("it has an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            stream?.write_all(b"* OK [CAPABILITY A B] hi\r\n")?;
        }
        std::io::Result::Ok(())
    });
    let scope = Scope::start(address, &["--rules", rules, "--seed", "7"]);
    let greeting = |scope: &Scope| line(&mut BufReader::new(scope.connect()));
    assert_eq!(greeting(&scope), "* OK [CAPABILITY B] hi\r\n");
    std::fs::write(&names, "B\n").expect("a file");
    hangup(&scope);
    told(&scope, "the rules were read again");
    told(&scope, "warning: no capability B is known");
    assert_eq!(greeting(&scope), "* OK [CAPABILITY A] hi\r\n");
    std::fs::write(&file, "drop-capabilty A\n").expect("a file");
    hangup(&scope);
    let problem = told(&scope, "error: ");
    assert!(problem.contains(":1:1: `drop-capabilty` is no action"), "{problem}");
    told(&scope, "  the old rules stay");
    assert_eq!(greeting(&scope), "* OK [CAPABILITY A] hi\r\n");
    let (code, log, said) = scope.interrupt();
    assert_eq!(code, Some(0), "{said}");
    assert!(log.contains("rule `s/never/x/ chance 1%`: never applied"), "{log}");
    assert!(!said.contains("--seed"), "the seed was given: {said}");
}

#[test]
fn the_seed_of_chances_is_told() {
    let (_held, nobody) = nobody();
    let route = format!("127.0.0.1:0=imap://{nobody}");
    let lines = first_lines(&["proxy", &route, "--rule", "s/a/b/ chance 10%"], 1);
    assert!(lines[0].starts_with("the chances of rules have the seed ") && lines[0].contains("; --seed "), "{lines:?}");
}

#[test]
fn the_demo_shows_the_main_job() {
    let output = run(&["demo"]);
    let log = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{log}{}", text(&output.stderr));
    for expected in ["LITERAL+", "LOGIN alice", "<hidden>", "IDLE", "Subject: Re: Lunch?", "--drop-cap LITERAL+"] {
        assert!(log.contains(expected), "{expected} is in the log:\n{log}");
    }
    assert!(!log.contains("correct horse"));
    assert!(!log.contains('\x1b'));
    let coloured = run(&["demo", "--color", "always"]);
    assert!(text(&coloured.stdout).contains("\x1b["));
}

#[test]
fn a_page_goes_to_a_file_or_to_standard_output() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("page.html");
    let output = run(&["demo", "-o", "html", "-o", &format!("html:{}", path.display())]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let page = std::fs::read_to_string(&path).expect("UTF-8");
    assert!(text(&output.stdout) == page, "they are the same");
    assert!(page.starts_with("<!doctype html>\n") && page.ends_with("</body></html>\n"));
    for expected in ["LITERAL+", "Subject: Re: Lunch?", "&lt;hidden&gt;", "<svg class=plot", "<table class=matrix>"] {
        assert!(page.contains(expected), "{expected} is in the page");
    }
    assert!(!page.contains("correct horse"));
}

#[test]
fn words_are_explained() {
    for (word, expected) in [("qresync", "RFC 7162"), ("SELECT", "RFC 9051"), ("OVERQUOTA", "quota"), ("IDLE", "RFC")] {
        let output = run(&["explain", word]);
        assert_eq!(output.status.code(), Some(0), "{word}");
        assert!(text(&output.stdout).contains(expected), "{word}: {}", text(&output.stdout));
    }
    let output = run(&["explain", "uid", "fetch"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, run(&["explain", "UID FETCH"]).stdout, "two words are one name");
    assert!(text(&output.stdout).contains("UID FETCH"), "{}", text(&output.stdout));
    assert_eq!(run(&["explain", "-x"]).status.code(), Some(1), "a word, not a flag");
    assert!(refused(&["explain"]).contains("WORD"));
    let output = run(&["explain", "QRESINC"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("QRESYNC"), "did you mean: {}", text(&output.stdout));
}

#[test]
fn codes_of_smtp_are_explained_with_their_class() {
    for word in ["5.7.8", "[5.7.8]"] {
        let output = run(&["explain", word]);
        let said = text(&output.stdout);
        assert!(output.status.success(), "{said}");
        assert!(said.starts_with("5.7.8  response code of SMTP and LMTP") && said.contains("for good"), "{said}");
        assert!(said.contains("Name, password or token") && said.lines().count() < 9, "{said}");
    }
    assert!(text(&run(&["explain", "4.4.2"]).stdout).contains("for now"));
    assert!(text(&run(&["explain", "2.1.5"]).stdout).contains("success"));
    let output = run(&["explain", "5.7.999"]);
    let said = text(&output.stdout);
    assert!(output.status.code() == Some(1) && said.contains("not known") && said.contains("5.7.0"), "{said}");
    assert_eq!(run(&["explain", "3.1.1"]).status.code(), Some(1), "there is no such class");
}

#[test]
fn what_lmtp_has_from_smtp_is_told_once() {
    let said = text(&run(&["explain", "354"]).stdout);
    assert!(said.contains("response of SMTP and LMTP") && !said.contains("response of LMTP"), "{said}");
    let said = text(&run(&["explain", "250"]).stdout);
    for of in ["response of SMTP\n", "response of LMTP\n", "response of NNTP\n"] {
        assert!(said.contains(of), "LMTP has its own: {said}");
    }
    let said = text(&run(&["explain", "PUTSCRIPT"]).stdout);
    assert!(said.contains("command of ManageSieve"), "{said}");
}

#[test]
fn grammars_are_listed_shown_and_checked() {
    assert!(text(&run(&["grammar", "list"]).stdout).contains("imap"));
    assert!(text(&run(&["grammar", "show", "imap"]).stdout).contains("UIDPLUS"));
    let all = text(&run(&["grammar", "list"]).stdout);
    for name in ["smtp", "lmtp", "pop3", "managesieve", "nntp", "irc"] {
        assert!(all.lines().any(|line| line.starts_with(&format!("{name} "))), "{name}: {all}");
        let shown = text(&run(&["grammar", "show", name]).stdout);
        assert!(shown.starts_with(&format!("{name}: ")) && shown.contains("commands ("), "{shown}");
    }
    assert_eq!(run(&["grammar", "show", "sieve"]).stdout, run(&["grammar", "show", "managesieve"]).stdout);
    assert!(refused(&["grammar", "show", "gopher"]).contains("known are imap"));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine.toml");
    std::fs::write(&file, "name = \"mine\"\nextends = \"imap\"\n[command.XYZ]\ndose = \"x\"\n").expect("a file");
    let output = run(&["grammar", "check", &file.display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(said.contains("mine.toml:") && said.contains("dose"), "{said}");
}

#[test]
fn help_completions_and_manual_teach() {
    let help = text(&run(&["--help"]).stdout);
    assert!(help.contains("Examples:") && help.contains("proxy"), "{help}");
    let help = text(&run(&["proxy", "--help"]).stdout);
    assert!(help.contains("imapscope proxy imap://mail.example.org") && help.contains("--drop-cap"), "{help}");
    for shell in ["bash", "zsh", "fish"] {
        assert!(text(&run(&["completions", shell]).stdout).contains("drop-cap"), "{shell}");
    }
    let manual = text(&run(&["man"]).stdout);
    assert!(manual.contains(".TH imapscope") && manual.contains("drop\\-cap"), "{manual}");
    assert!(manual.contains("grammar\\-check"), "pages of all verbs");
    assert_eq!(run(&[]).status.code(), Some(2));
    assert!(text(&run(&["--version"]).stdout).starts_with("imapscope "));
}
