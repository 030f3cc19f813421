//! Links, files and folders of this user and of others: who is another user is said by the tests, so that they need no root.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use super::folder::identity;
use super::*;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

/// Opens a path as a user to whom this test's files belong, or do not.
fn open_as(own: bool, path: &Path, way: Way) -> Result<Opened, Refused> {
    let me = rustix::process::geteuid().as_raw();
    Place::find_as(path, if own { Trusted::now() } else { Trusted::only(me + 1) })?.open(way)
}

fn open(path: &Path, way: Way) -> Result<Opened, Refused> {
    open_as(true, path, way)
}

#[test]
fn a_path_leads_where_the_system_would_go() {
    let place = folder();
    let root = place.path().canonicalize().expect("a path");
    fs::create_dir_all(root.join("a/b")).expect("a folder");
    for file in ["f", "a/f", "a/b/f"] {
        fs::write(root.join(file), file).expect("a file");
    }
    symlink("a/b", root.join("l")).expect("a link");
    symlink("../l/../f", root.join("a/up")).expect("a link");
    symlink(root.join("a/"), root.join("a/b/far")).expect("a link");
    symlink("loop", root.join("loop")).expect("a link");
    symlink(".", root.join("a/here")).expect("a link");
    let names = ["a", "b", "f", "l", "up", "far", "loop", "here", "..", ".", "", "none"];
    let (mut same, mut due) = (0, vec![(PathBuf::from(&root), 0)]);
    while let Some((path, depth)) = due.pop() {
        let other = fs::File::open(&path).and_then(|file| file.metadata()).ok().filter(Metadata::is_file);
        let ours = open(&path, Way::Read).ok();
        assert_eq!(ours.map(|ours| identity(&ours.found)), other.map(|other| identity(&other)), "{}", path.display());
        same += 1;
        if depth < 4 {
            due.extend(names.iter().map(|name| {
                let mut next = path.clone().into_os_string();
                next.push("/");
                next.push(name);
                (PathBuf::from(next), depth + 1)
            }));
        }
    }
    assert!(same > 20_000);
    for none in ["", "/", ".", "..", "/no/such/folder/f"] {
        assert!(open(Path::new(none), Way::Read).is_err(), "{none:?}");
    }
}

#[test]
fn links_of_others_are_not_followed_wherever_they_are() {
    let place = folder();
    let root = place.path();
    fs::create_dir(root.join("d")).expect("a folder");
    fs::write(root.join("d/f"), "evidence").expect("a file");
    symlink("d", root.join("folder")).expect("a link");
    symlink("d/f", root.join("file")).expect("a link");
    symlink("folder/new", root.join("new")).expect("a link");
    for path in ["folder/f", "file", "new", "folder/new"] {
        for way in [Way::Write, Way::Append, Way::Read] {
            let refused = open_as(false, &root.join(path), way).expect_err("the link of another");
            assert!(refused.what.contains("link of another user") && !refused.help.is_empty(), "{refused}");
        }
    }
    assert!(!root.join("d/new").exists());
    // No link is a new file, whoever it belongs to.
    assert_eq!(open(&root.join("new"), Way::New).expect_err("it is there").kind, io::ErrorKind::AlreadyExists);
    let opened = open(&root.join("file"), Way::Write).expect("our own link");
    assert!(opened.linked && !opened.is_empty().expect("a length"), "nothing is truncated by opening");
    open(&root.join("new"), Way::Write).expect("our own link to nothing");
    assert!(root.join("d/new").exists());
    assert_eq!(fs::metadata(root.join("d/new")).expect("it was made").mode() & 0o777, 0o600);
}

#[test]
fn in_a_folder_of_everybody_only_own_files_are_written_to() {
    let place = folder();
    let (open_folder, file) = (place.path().join("open"), place.path().join("open/f"));
    fs::create_dir(&open_folder).expect("a folder");
    fs::write(&file, "evidence").expect("a file");
    mode(&file, 0o600);
    for (rights, others) in [(0o1777, false), (0o777, false), (0o1770, false), (0o755, true), (0o700, true)] {
        mode(&open_folder, rights);
        let theirs = open_as(false, &file, Way::Write);
        match others {
            true => {
                let warning = theirs.expect("nobody else can have put it there").warning.expect("a warning");
                assert!(warning.contains("belongs to another user"), "{warning}");
            }
            false => {
                let refused = theirs.expect_err("the file of another");
                assert!(refused.what.contains("belongs to another user"), "{rights:o} {refused}");
            }
        }
        assert_eq!(open(&file, Way::Write).expect("our own").warning, None);
    }
    mode(&open_folder, 0o1777);
    let secret = place.path().join("secret");
    fs::write(&secret, "evidence").expect("a file");
    fs::hard_link(&secret, open_folder.join("g")).expect("a link");
    let refused = open(&open_folder.join("g"), Way::Append).expect_err("a file that also lies elsewhere");
    assert!(refused.what.contains("hard link"), "{refused}");
    assert_eq!(fs::read_to_string(&secret).expect("a file"), "evidence");
}

#[test]
fn who_else_can_read_a_file_is_said() {
    let place = folder();
    let file = place.path().join("f");
    fs::write(&file, "").expect("a file");
    for (rights, warned) in [(0o600, false), (0o400, false), (0o640, true), (0o602, true), (0o666, true)] {
        mode(&file, rights | 0o200);
        for way in [Way::Write, Way::Append] {
            let warning = open(&file, way).expect("our own").warning;
            assert_eq!(warning.is_some(), warned, "{rights:o} {warning:?}");
        }
    }
    let device = open(Path::new("/dev/null"), Way::Write).expect("a device");
    assert_eq!((device.warning.clone(), device.identity(), device.lock()), (None, None, true));
}

#[test]
fn what_a_process_has_open_is_reached_by_its_number() {
    use std::os::fd::AsRawFd;
    let place = folder();
    let file = fs::File::create(place.path().join("f")).expect("a file");
    let name = format!("/dev/fd/{}", file.as_raw_fd());
    let mut output = open_as(true, Path::new(&name), Way::Write).expect("our own file").output();
    output.write_all(b"text").expect("room");
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let name = format!("/dev/fd/{}", writer.as_raw_fd());
    open(Path::new(&name), Way::Write).expect("our own pipe").output().write_all(b"pipe").expect("room");
    drop(writer);
    let mut said = String::new();
    reader.read_to_string(&mut said).expect("UTF-8");
    assert_eq!((said.as_str(), fs::read_to_string(place.path().join("f")).expect("a file").as_str()), ("pipe", "text"));
}

#[test]
fn a_file_has_one_writer_and_no_two_outputs() {
    let place = folder();
    let file = place.path().join("f");
    let first = open(&file, Way::Write).expect("a new file");
    assert!(first.lock());
    let second = open(&file, Way::Write).expect("it is there");
    assert!(!second.lock());
    drop(first);
    assert!(second.lock(), "its writer has ended");
    symlink("f", place.path().join("l")).expect("a link");
    let mut outputs = Outputs::default();
    assert!(outputs.open(&file).is_ok());
    let refused = outputs.open(&place.path().join("l")).expect_err("the same file");
    assert!(refused.what.contains("another output"), "{refused}");
    for _ in 0..2 {
        assert!(outputs.open(Path::new("/dev/null")).is_ok(), "a device takes both");
    }
}

#[test]
fn a_time_in_a_name_makes_a_new_file_or_folder() {
    let place = folder();
    let mut outputs = Outputs::default();
    let path = place.path().join("a-{time}.log");
    let made: Vec<PathBuf> = (0..3).map(|_| outputs.open(&path).expect("a new file").0.path().to_owned()).collect();
    let folders: Vec<PathBuf> = (0..2)
        .map(|_| outputs.folder(&place.path().join("b-{time}/")).expect("a new folder").path().to_owned())
        .collect();
    assert!(made.is_sorted() && made.windows(2).all(|pair| pair[0] != pair[1]), "{made:?}");
    assert!(folders[0] != folders[1] && folders.iter().all(|folder| folder.is_dir()), "{folders:?}");
    assert_eq!(outputs.messages.len(), 5, "{:?}", outputs.messages);
    assert!(outputs.messages[0].contains(&made[0].display().to_string()), "{:?}", outputs.messages);
}

#[test]
fn folders_of_secrets_are_nobody_elses() {
    let place = folder();
    let path = place.path().join("a/b/");
    let me = rustix::process::geteuid().as_raw();
    assert!(Folder::private(&path, false).is_err());
    Folder::private(&path, true).expect("it is made");
    assert_eq!(fs::metadata(place.path().join("a")).expect("a folder").mode() & 0o7777, 0o700);
    for (rights, fine) in [(0o700, true), (0o755, true), (0o775, false), (0o702, false), (0o1777, false)] {
        mode(&path, rights);
        let opened = Folder::private_as(&path, true, Trusted::only(me));
        assert_eq!(opened.is_ok(), fine, "{rights:o}");
        let refused = Folder::private_as(&path, true, Trusted::only(me + 1)).expect_err("of another user");
        assert!(refused.what.contains("another user") && !refused.help.is_empty(), "{refused}");
        if let Err(refused) = opened {
            assert!(
                refused.what.contains(&format!("mode {rights:o}")) && refused.help.contains("chmod go-w"),
                "{refused}"
            );
        }
    }
    symlink("b", place.path().join("a/l")).expect("a link");
    mode(&path, 0o700);
    assert!(Folder::private(&place.path().join("a/l"), false).is_ok(), "our own link");
}
