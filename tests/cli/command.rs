//! The command behind `--`, as a user runs it: what it is told, where its output goes, what its end and ours have to do with
//! each other.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::program::{self, PATIENCE, Started, imapscope, text};

/// The proxy in front of a server where nobody is, with these flags and this command.
fn scope(server: Option<SocketAddr>, flags: &[&str], command: &[&str]) -> Command {
    let server = server.map_or("127.0.0.1:1".to_owned(), |server| server.to_string());
    let mut scope = imapscope(&["proxy", &format!(":0=imap://{server}")]);
    scope.args(flags).arg("--").args(command);
    scope
}

/// The same to its end: exit code, standard output, standard error.
fn run(server: Option<SocketAddr>, flags: &[&str], command: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = program::output(&mut scope(server, flags, command));
    (status.code(), text(&stdout), text(&stderr))
}

/// This program, as a client that is told the routes by its environment.
fn client() -> Vec<String> {
    let own = std::env::current_exe().expect("a program").display().to_string();
    [&own, "--exact", "command::a_client", "--ignored", "--nocapture"].map(String::from).to_vec()
}

/// Reads the greeting, logs out, and does not wait for the answer; with a flag in the environment it stays instead.
#[test]
#[ignore = "a program for the other tests, which start it"]
fn a_client() {
    let [host, port] = ["IMAPSCOPE_HOST", "IMAPSCOPE_PORT"].map(|name| std::env::var(name).expect(name));
    let mut stream = TcpStream::connect(format!("{host}:{port}")).expect("the proxy listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let mut greeting = String::new();
    BufReader::new(stream.try_clone().expect("a handle")).read_line(&mut greeting).expect("a greeting");
    println!("greeted: {}", greeting.trim_end());
    if std::env::var_os("STAY").is_some() {
        let _ = stream.read_to_end(&mut Vec::new());
    } else {
        stream.write_all(b"a1 LOGOUT\r\n").expect("sent");
    }
}

#[test]
fn a_command_does_not_inherit_the_password_of_probe() {
    let mut scope = scope(None, &[], &["sh", "-c", "echo \"password: ${IMAPSCOPE_PASSWORD-none}\""]);
    scope.env("IMAPSCOPE_PASSWORD", "kanarie77");
    let Output { status, stdout, stderr } = program::output(&mut scope);
    let said = text(&stdout) + &text(&stderr);
    assert!(status.success() && said.contains("password: none") && !said.contains("kanarie77"), "{said}");
}

/// A server that greets, and answers a line after a while.
fn server() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback can be listened on");
    let address = listener.local_addr().expect("it has an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream?;
            stream.write_all(b"* OK hi\r\n")?;
            let mut line = String::new();
            BufReader::new(stream.try_clone()?).read_line(&mut line)?;
            thread::sleep(Duration::from_millis(300));
            // The client may be gone.
            let _ = stream.write_all(b"* BYE bye\r\na1 OK done\r\n");
        }
        std::io::Result::Ok(())
    });
    address
}

#[test]
fn its_exit_code_is_ours() {
    assert_eq!(run(None, &[], &["sh", "-c", "exit 0"]).0, Some(0));
    assert_eq!(run(None, &[], &["sh", "-c", "exit 7"]).0, Some(7));
    assert_eq!(run(None, &[], &["sh", "-c", "kill -KILL $$"]).0, Some(128 + 9));
}

#[test]
fn it_starts_when_the_routes_listen_and_is_told_where() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = format!("pretty:{}", folder.path().join("log").display());
    let line = "echo $IMAPSCOPE_HOST $IMAPSCOPE_PORT $IMAPSCOPE_PORT_IMAP $IMAPSCOPE_PORT_SUBMISSION $IMAPSCOPE_PORT_IMAP_2; echo wrong >&2";
    let others = ["-o", &log, "127.0.0.1:0=submission://127.0.0.1:1", "127.0.0.1:0=imap://127.0.0.1:1"];
    let (code, out, said) = run(None, &others, &["sh", "-c", line]);
    assert_eq!(code, Some(0), "{said}");
    let listening: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("listening on ")).collect();
    let ports: Vec<&str> = listening
        .iter()
        .map(|line| line.split(" -> ").next().and_then(|it| it.rsplit(':').next()).expect("a port"))
        .collect();
    let [imap, submission, other] = ports[..] else { panic!("{said}") };
    // With the log elsewhere, standard output and standard error are its own.
    assert_eq!(out, format!("127.0.0.1 {imap} {imap} {submission} {other}\n"));
    assert!(said.ends_with("\nwrong\n"), "{said}");
}

#[test]
fn what_it_says_is_kept_apart_from_the_log() {
    let line = "printf 'one\\r\\n\\033[2Jtwo\\n'; printf 'bad\\n' >&2; printf 'no end'";
    let (code, out, said) = run(None, &[], &["sh", "-c", line]);
    assert_eq!((code, out.as_str()), (Some(0), ""), "{said}");
    for expected in ["\n$ one\n", "\n$ \\x1b[2Jtwo\n", "\n$! bad\n", "\n$ no end\n"] {
        assert!(said.contains(expected), "{expected:?} in {said:?}");
    }
    let (code, _, said) = run(None, &[], &["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x"]);
    assert_eq!(code, Some(0));
    let lines: Vec<_> = said.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    assert_eq!(lines.iter().map(|line| line.len()).sum::<usize>(), 3_000_000, "nothing is lost");
    assert!(lines.iter().all(|line| line.len() <= 4096));
}

#[test]
fn its_standard_input_is_ours() {
    let mut scope = scope(None, &[], &["cat"]);
    let mut child = scope.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    child.stdin.take().expect("piped").write_all(b"from us\n").expect("it is read");
    let output = child.wait_with_output().expect("it ends");
    assert!(String::from_utf8_lossy(&output.stderr).contains("\n$ from us\n"));
}

#[test]
fn what_it_began_may_end_behind_it() {
    let own = client();
    let words: Vec<&str> = own.iter().map(String::as_str).collect();
    let (code, log, said) = run(Some(server()), &[], &words);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("$ greeted: * OK hi\n"), "{said}");
    // The answer came when the client was gone already.
    for expected in ["a1 LOGOUT", "* BYE bye", "a1 OK done", "#1 =="] {
        assert!(log.contains(expected), "{expected}:\n{log}");
    }
    assert!(!log.contains("interrupted"), "{log}");
}

#[test]
fn a_connection_that_stays_is_closed_in_a_bounded_time() {
    let begun = Instant::now();
    // What stays behind ends when its connection is closed.
    let line = format!("{} & while [ ! -s log ]; do sleep 0.05; done; sleep 0.2; exit 4", client().join(" "));
    let folder = tempfile::tempdir().expect("a folder");
    let mut scope = scope(Some(server()), &["-o", "pretty:log"], &["sh", "-c", &line]);
    let output = program::output(scope.env("STAY", "1").current_dir(&folder));
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(begun.elapsed() >= Duration::from_secs(2), "it had time");
    assert!(begun.elapsed() < PATIENCE);
    let log = std::fs::read_to_string(folder.path().join("log")).expect("a log");
    assert!(log.contains("* OK hi") && log.contains("#1 == ended by imapscope"), "{log}");
}

#[test]
fn a_command_that_cannot_be_started_is_said() {
    let refused = |command: &[&str]| {
        let (code, out, said) = run(None, &[], command);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{said}");
        assert!(!said.contains("listening"), "no socket is opened: {said}");
        said
    };
    assert!(
        refused(&["no-such-program-here", "x"]).contains("COMMAND 'no-such-program-here': there is no such program")
    );
    assert!(refused(&["/etc/passwd"]).contains("no program that may be run"));
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("script");
    std::fs::write(&script, "#!/nonexistent/interpreter\n").expect("a file");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).expect("it may be run");
    let script = script.display().to_string();
    let (code, _, said) = run(None, &[], &[&script]);
    assert!(code == Some(1) && said.contains(&format!("error: {script} cannot be started: ")), "{said}");
}

/// Starts it, and waits until the command says `ready`.
fn ready(command: &str) -> Started {
    let mut child = scope(None, &[], &["sh", "-c", command])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut said = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    while !line.starts_with("$ ready") {
        line.clear();
        assert!(said.read_line(&mut line).expect("UTF-8") > 0, "it ended too soon");
    }
    // Nobody reads what else is said, and nothing is held up by that.
    Started(child)
}

#[test]
fn signals_end_both() {
    // SIGTERM is passed on.
    let mut child = ready("trap 'exit 3' TERM; echo ready; while :; do sleep 0.1; done");
    child.signal("-TERM");
    assert_eq!(child.code(), Some(3));
    // Ctrl-C reaches the command by itself; it may take its time, but not for ever.
    let mut child = ready("trap '' INT; trap 'exit 5' TERM; echo ready; while :; do sleep 0.1; done");
    let begun = Instant::now();
    child.signal("-INT");
    assert_eq!(child.code(), Some(5));
    assert!(begun.elapsed() > Duration::from_secs(4), "it was waited for");
    // Who asks twice does not wait.
    let mut child = ready("trap '' INT TERM; echo ready; while :; do sleep 0.1; done");
    child.signal("-INT");
    thread::sleep(Duration::from_millis(200));
    child.signal("-INT");
    assert_eq!(child.code(), Some(128 + 9));
}
