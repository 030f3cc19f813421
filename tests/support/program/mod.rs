//! The built program as a user runs it: to its end, which must come in time, or for as long as a test lasts.
// Each test uses a part of it.
#![allow(dead_code)]

pub mod scope;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// The built program.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_imapscope");

/// No wait takes longer.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The program with these arguments, whatever the environment of the tests is: also where `nohup` has SIGHUP ignored, which
/// children inherit.
pub fn imapscope(arguments: &[&str]) -> Command {
    let mut command = if hangups_are_ignored() {
        let mut command = Command::new("env");
        command.args(["--default-signal=HUP", PROGRAM]);
        command
    } else {
        Command::new(PROGRAM)
    };
    command.args(arguments).stdin(Stdio::null()).env("TZ", "UTC");
    for name in ["NO_COLOR", "CLICOLOR_FORCE", "CLICOLOR", "IMAPSCOPE_LOG", "SSLKEYLOGFILE", "RUST_BACKTRACE"] {
        command.env_remove(name);
    }
    command
}

/// Returns true if this process ignores SIGHUP, by the mask of signals that Linux has in `/proc`.
fn hangups_are_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// What a program says. One that does not end is ended, and has failed.
pub fn output(command: &mut Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs");
    let id = child.id().to_string();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    let output = receiver.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|_| {
        let _ = Command::new("kill").args(["-KILL", &id]).status();
        panic!("{command:?} did not end in time");
    });
    output.expect("its output can be read")
}

/// Runs imapscope to its end.
pub fn run(arguments: &[&str]) -> Output {
    output(&mut imapscope(arguments))
}

/// Octets of an output as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is UTF-8")
}

/// Runs a command line that is wrong; returns what is said of it.
pub fn refused(arguments: &[&str]) -> String {
    refusal(imapscope(arguments))
}

/// The same of a command that is made already.
pub fn refusal(mut command: Command) -> String {
    let output = output(&mut command);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{command:?}: {said}");
    assert!(!said.contains("listening"), "no socket is opened: {said}");
    assert!(output.stdout.is_empty(), "nothing goes to standard output");
    said
}

/// Starts a program, reads `count` lines of what it says on standard error, and ends it.
pub fn first_lines(mut command: Command, count: usize) -> Vec<String> {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let said = BufReader::new(child.stderr.take().expect("piped"));
    let started = Started(child);
    let lines = said.lines().take(count).map_while(Result::ok).collect();
    drop(started);
    lines
}

/// The lines of a pipe as they come.
pub fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

/// Waits for a line with this in it; returns all up to it.
pub fn until(lines: &Receiver<String>, part: &str) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let line = lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no line with {part}: {all:#?}"));
        all.push(line);
        if all.last().is_some_and(|line| line.contains(part)) {
            return all;
        }
    }
}

/// A program that was started, and ends with the test.
pub struct Started(pub Child);

impl Started {
    /// Sends it a signal, such as `-INT`.
    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.0.id().to_string()]).status().expect("kill runs").success());
    }

    /// Waits for its end; returns its exit code.
    pub fn code(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.0.try_wait().expect("the child can be asked") {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it ends in time");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
