//! Files that the program writes, as a user names them: recordings are evidence, links and parts of others are left alone, a
//! time in a name makes a new file, and who else can read something is said.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::program::{self, Started, imapscope, lines, output, refused, run, text, until};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Place(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn file(&self, name: &str, content: &str, mode: u32) -> String {
        let path = self.path(name);
        fs::write(&path, content).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("our file");
        path
    }

    /// Names of what is in it, sorted.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.0.path())
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

/// Runs what must go well; returns what it says on standard error.
#[track_caller]
fn fine(arguments: &[&str]) -> String {
    let output = run(arguments);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
    said
}

fn content(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).expect("a file")
}

/// What the program says of a demonstration without trouble.
fn quiet() -> String {
    fine(&["demo", "-o", "json:/dev/null"])
}

#[test]
fn a_recording_that_holds_something_is_overwritten_by_force_only() {
    let place = Place::new();
    let file = place.path("a.imapscope");
    let record = format!("record:{file}");
    assert_eq!(fine(&["demo", "-w", &file]).lines().count(), quiet().lines().count());
    let first = content(&file);
    for arguments in [
        &["demo", "-w", &file][..],
        &["demo", "-o", &record],
        &["read", "/dev/null", "-w", &file],
        &["proxy", "imap://127.0.0.1", "-w", &file],
    ] {
        let output = run(arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        if arguments[0] != "read" {
            let line = format!("recording exists and is not empty: {file}");
            assert!(said.contains(&line) && said.contains("help: ") && said.contains("--force"), "{said}");
        }
        assert_eq!(content(&file), first);
    }
    let copy = place.file("copy", "kept", 0o600);
    assert!(refused(&["read", &file, "-w", &copy]).contains("recording exists and is not empty"));
    fine(&["read", &file, "-w", &copy, "--force"]);
    assert!(content(&copy).starts_with("{\"imapscope\":"));
    fine(&["demo", "-w", &file, "--force"]);
    assert!(content(&file) != first && content(&file).starts_with("{\"imapscope\":"));
    // An empty file holds nothing, as one that a run without a connection has left.
    let empty = place.file("empty", "", 0o600);
    fine(&["demo", "-w", &empty]);
    // Other outputs are made anew each time.
    for kind in ["pretty", "json", "html", "pcapng"] {
        let file = place.file(kind, &"x".repeat(1 << 20), 0o600);
        fine(&["demo", "-o", &format!("{kind}:{file}")]);
        assert!(fs::metadata(&file).expect("a file").len() < 1 << 20, "{kind}");
    }
}

#[test]
fn two_processes_do_not_share_a_recording() {
    let place = Place::new();
    let file = place.path("a.imapscope");
    let mut child = imapscope(&["proxy", "127.0.0.1:0=imap://127.0.0.1:1", "-w", &file]);
    let child = child.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the program starts");
    let said = lines(child.stderr.take().expect("it is piped"));
    let mut first = Started(child);
    until(&said, "listening on");
    symlink("a.imapscope", place.path("link")).expect("a link");
    for (name, force) in [(&file, false), (&file, true), (&place.path("link"), true)] {
        let arguments = ["demo", "-w", name, "--force"];
        let told = refused(&arguments[..if force { 4 } else { 3 }]);
        assert!(told.contains("another imapscope writes to this recording") && told.contains("help: "), "{told}");
    }
    first.signal("-INT");
    assert_eq!(first.code(), Some(0));
    fine(&["demo", "-w", &file, "--force"]);
}

#[test]
fn a_time_in_a_name_makes_a_new_file_each_time() {
    let place = Place::new();
    for round in 1..=2 {
        let said = fine(&[
            "demo",
            "-w",
            &place.path("a-{time}.imapscope"),
            "-o",
            &format!("pretty:{}", place.path("b-{time}")),
            "-o",
            &format!("html:{}", place.path("c-{time}.html")),
            "-o",
            &format!("raw:{}", place.path("d-{time}")),
        ]);
        let names = place.names();
        assert_eq!(names.len(), 4 * round, "{names:?}");
        assert_eq!(said.matches("writing to ").count(), 4, "{said}");
        assert!(names.iter().all(|name| said.contains(name) || round == 2), "{said}");
    }
    for name in place.names() {
        let stamp = &name.as_bytes()[2..18];
        let shape = |(at, b): (usize, &u8)| match at {
            8 => *b == b'T',
            15 => *b == b'Z',
            _ => b.is_ascii_digit(),
        };
        assert!(stamp.iter().enumerate().all(shape), "{name}");
        assert!(name.starts_with('d') || !content(place.path(&name)).is_empty(), "{name}");
    }
    fine(&["demo", "-w", &place.path("p-{time}"), "--rotate", "1k"]);
    let parts: Vec<_> = place.names().into_iter().filter(|name| name.starts_with('p')).collect();
    assert!(parts.len() > 2 && parts[1] == format!("{}.1", parts[0]), "{parts:?}");
}

#[test]
fn a_part_that_is_not_ours_is_left_as_it_is() {
    let place = Place::new();
    let victim = place.file("victim", "evidence", 0o600);
    let link = |name: &str| symlink(&victim, place.path(name)).expect("a link");
    link("a.1");
    place.file("a.2", "evidence", 0o600);
    fs::create_dir(place.path("a.4")).expect("a folder");
    let said = fine(&["demo", "-w", &place.path("a"), "--rotate", "1k"]);
    assert!(said.contains("a.1 exists: the recording goes on in ") && said.contains("a.3"), "{said}");
    assert!(content(&victim) == "evidence" && content(place.path("a.2")) == "evidence");
    let parts: Vec<String> = [0, 3, 5].map(|part| place.path(&format!("a.{part}"))).to_vec();
    let again = output(&mut imapscope(&["read", &place.path("a"), &parts[1], &parts[2]]));
    assert_eq!((again.status.code(), text(&again.stderr).as_str()), (Some(0), ""));

    // With --force, what is an older part of a recording is overwritten, and nothing else.
    let older = content(&parts[1]);
    fine(&["demo", "-w", &place.path("a"), "--rotate", "1k", "--force"]);
    assert!(content(&victim) == "evidence" && content(place.path("a.2")) == "evidence");
    assert!(content(&parts[1]) != older);
    assert!(refused(&["demo", "-w", "/dev/stderr", "--rotate", "1k"]).contains("not a regular file: /dev/stderr"));
}

#[test]
fn links_of_the_system_and_of_the_user_lead_on() {
    let place = Place::new();
    for output in ["pretty:/dev/stdout", "record:/dev/stdout", "json:/dev/fd/1", "html:/proc/self/fd/1"] {
        let output = run(&["demo", "-o", output]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(!output.stdout.is_empty());
    }
    symlink("there", place.path("link")).expect("a link");
    fine(&["demo", "-w", &place.path("link")]);
    assert!(refused(&["demo", "-w", &place.path("link")]).contains("recording exists and is not empty"));
    assert!(!content(place.path("there")).is_empty());
    symlink(place.path("parts"), place.path("far")).expect("a link");
    fs::create_dir(place.path("parts")).expect("a folder");
    fine(&["demo", "-w", &place.path("far/../far/a b\tc"), "--rotate", "1k"]);
    assert!(fs::metadata(place.path("parts/a b\tc.1")).is_ok());
}

#[test]
fn a_file_that_others_can_read_is_a_warning() {
    let place = Place::new();
    for (mode, warned) in [(0o644, true), (0o660, true), (0o600, false)] {
        for kind in ["record", "pretty", "json", "html", "pcapng"] {
            let file = place.file(kind, "", mode);
            let said = fine(&["demo", "-o", &format!("{kind}:{file}")]);
            let line = format!("warning: {file} is open to others (mode {mode:o}): chmod 600 {file}");
            assert_eq!(said.contains(&line), warned, "{said}");
        }
    }
    let folder = place.path("folder");
    fs::create_dir(&folder).expect("a folder");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("our folder");
    let said = fine(&["demo", "-o", &format!("raw:{folder}")]);
    assert!(said.contains(&format!("warning: others can remove files from {folder}")), "{said}");
}

#[test]
fn secrets_of_tls_and_the_authority_are_kept_from_others() {
    let place = Place::new();
    let home = place.path("home");
    let ca = |home: &str| {
        let mut command = imapscope(&["ca", "path"]);
        command.env("IMAPSCOPE_HOME", home);
        output(&mut command)
    };
    assert_eq!(ca(&home).status.code(), Some(0));
    for mode in [0o775, 0o757, 0o1777] {
        fs::set_permissions(&home, fs::Permissions::from_mode(mode)).expect("our folder");
        let output = ca(&home);
        let said = text(&output.stderr);
        let line = format!("folder is writable by others (mode {mode:o}): {home}");
        assert!(output.status.code() == Some(2) && said.contains(&line) && said.contains("help: "), "{said}");
    }
    fs::set_permissions(&home, fs::Permissions::from_mode(0o755)).expect("our folder");
    symlink("home", place.path("link")).expect("a link");
    assert_eq!(ca(&place.path("link")).status.code(), Some(0));
    // Even if a link is in the way, nothing but the name in the folder is replaced.
    let victim = place.file("victim", "evidence", 0o600);
    fs::remove_file(format!("{home}/ca.pem")).expect("it is there");
    symlink(&victim, format!("{home}/ca.pem")).expect("a link");
    assert_eq!(ca(&home).status.code(), Some(0));
    assert_eq!(content(&victim), "evidence");

    let keys = place.file("keys", "# mine\n", 0o644);
    let mut command = imapscope(&["proxy", "imaps://:0=imaps://127.0.0.1:1"]);
    command.env("IMAPSCOPE_HOME", &home).env("SSLKEYLOGFILE", &keys);
    let said = program::first_lines(command, 2).join("\n");
    assert!(said.contains("SSLKEYLOGFILE") && said.contains("is open to others (mode 644)"), "{said}");
    assert_eq!(content(&keys), "# mine\n", "it is appended to");
}

#[test]
fn any_bytes_are_a_name() {
    let place = Place::new();
    let name: PathBuf = place.0.path().join(OsStr::from_bytes(b"r\xe9cord"));
    let mut command = imapscope(&["demo", "-w"]);
    command.arg(&name);
    let output = output(&mut command);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(!content(&name).is_empty());
}
