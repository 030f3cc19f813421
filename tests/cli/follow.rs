//! Recordings that are shown while they are written: pipes, `read --follow`, parts, and files that are written over.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::program::{Started, imapscope, lines, refused, until};
use crate::recording::{file, folder, made, path, proxy, read, talk};

#[test]
fn a_pipe_that_stays_open_is_shown_as_it_comes() {
    let made = made();
    let (first, rest) = made.split_at(made.find("a1 OK").expect("it is there"));
    let mut child = imapscope(&["read", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let (mut input, log) = (child.stdin.take().expect("a pipe"), lines(child.stdout.take().expect("a pipe")));
    let mut child = Started(child);
    // Even the first line comes in drops.
    for drop in [&first.as_bytes()[..5], &first.as_bytes()[5..60], &first.as_bytes()[60..]] {
        input.write_all(drop).expect("it is read");
        thread::sleep(Duration::from_millis(20));
    }
    until(&log, "a1 SELECT INBOX");
    input.write_all(rest.as_bytes()).expect("it is read");
    until(&log, "a2 NO checked one");
    drop(input);
    assert_eq!(child.code(), Some(0));
}

#[test]
fn a_file_that_grows_is_followed() {
    let folder = folder();
    let made = made();
    let (first, rest) = made.split_at(made.find("a1 OK").expect("it is there"));
    // From nothing, from the middle of the first line, and from the middle of an event.
    for begun in [0, 5, 40, first.len()] {
        let path = file(&folder, "growing", &made[..begun]);
        let mut child = imapscope(&["read", "--follow", &path])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let log = lines(child.stdout.take().expect("a pipe"));
        let said = lines(child.stderr.take().expect("a pipe"));
        let child = Started(child);
        let mut grown = fs::OpenOptions::new().append(true).open(&path).expect("a file");
        thread::sleep(Duration::from_millis(150));
        grown.write_all(&first.as_bytes()[begun..]).expect("there is room");
        let mut seen = until(&log, "a1 SELECT INBOX");
        grown.write_all(rest.as_bytes()).expect("there is room");
        seen.extend(until(&log, "a2 NO checked one"));
        assert_eq!(seen.concat(), read(&[&file(&folder, "whole", &made)]).lines().take(seen.len()).collect::<String>());
        drop(child);
        assert_eq!(said.iter().collect::<Vec<_>>(), [""; 0], "{begun}");
    }
    assert!(refused(&["read", "--follow", "-"]).contains("--follow"));
}

#[test]
fn a_recording_in_parts_is_followed_from_file_to_file() {
    let folder = folder();
    let path = path(&folder, "a.1");
    let (mut scope, address, _log, _) = proxy(&["-w", &path, "--rotate", "2k"]);
    let follow = |files: &[&str]| {
        let child = imapscope(&[&["read", "--follow"], files].concat()).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("it starts");
        let log = lines(child.stdout.take().expect("a pipe"));
        (Started(child), log)
    };
    let (_first, log) = follow(&[&path]);
    let commands: Vec<String> = (0..40).map(|nth| format!("t{nth} NOOP")).collect();
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    let client = talk(address, &commands);
    until(&log, "t39 OK");
    // What is given by name comes in this order, and what is still to come after it.
    let second = format!("{path}.1");
    let (_second, again) = follow(&[&path, &second]);
    until(&again, "t39 OK");
    let (_last, late) = follow(&[&second]);
    until(&late, "t39 OK");
    drop(client);
    for log in [log, again, late] {
        until(&log, "closed by the client");
    }
    assert!(Path::new(&format!("{path}.2")).exists());
    scope.signal("-INT");
    assert_eq!(scope.code(), Some(0));
}

#[test]
fn a_recording_that_is_overwritten_is_not_followed_on() {
    let folder = folder();
    let path = file(&folder, "made", &made());
    let mut child = imapscope(&["read", "--follow", &path])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let (log, said) = (lines(child.stdout.take().expect("a pipe")), lines(child.stderr.take().expect("a pipe")));
    let mut child = Started(child);
    until(&log, "a2 NO checked one");
    fs::write(&path, &made()[..40]).expect("a file");
    until(&said, "the file became shorter");
    assert_eq!(child.code(), Some(1));
}
