//! TLS as a user meets it on the command line: mistakes in files and flags are refused before a port opens, the local
//! authority is made once, and a session with TLS on both legs runs through the built binary.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::thread;

use crate::program;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

fn imapscope(home: &Path, arguments: &[&str]) -> Command {
    let mut command = program::imapscope(arguments);
    command.env("IMAPSCOPE_HOME", home);
    command
}

fn run(home: &Path, arguments: &[&str]) -> Output {
    program::output(&mut imapscope(home, arguments))
}

/// Runs a command line that is wrong; returns what is said of it.
fn refused(home: &Path, arguments: &[&str]) -> String {
    refusal(imapscope(home, arguments))
}

fn refusal(command: Command) -> String {
    let said = program::refusal(command);
    assert_eq!(said.matches("error: ").count(), 1, "{said}");
    said
}

/// A folder with files of certificates and keys.
struct Files(TempDir);

impl Files {
    fn new() -> Files {
        let files = Files(tempfile::tempdir().expect("a folder"));
        let authority = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "Files");
        let ca = params.self_signed(&authority).expect("a certificate").pem();
        let issuer = Issuer::new(params, authority);
        let key = KeyPair::generate().expect("a key");
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let leaf = leaf.signed_by(&key, &issuer).expect("a certificate").pem();
        files.put("ca.pem", &ca);
        files.put("leaf.pem", &leaf);
        files.put("chain.pem", &format!("{leaf}{ca}"));
        files.put("turned.pem", &format!("{ca}{leaf}"));
        files.put("strange.pem", &format!("{leaf}{leaf}"));
        files.put("key.pem", &key.serialize_pem());
        files.put("other.pem", &KeyPair::generate().expect("a key").serialize_pem());
        files.put("text.pem", "no certificate at all\n");
        files.put("cut.pem", &leaf[..leaf.len() - 30]);
        let rubbish = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        files.put("rubbish.pem", rubbish);
        files.put("locked.pem", &rubbish.replace("CERTIFICATE", "ENCRYPTED PRIVATE KEY"));
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n";
        files.put("locked-old.pem", &format!("{old}-----END RSA PRIVATE KEY-----\n"));
        files.put("empty.pem", "");
        files.put(
            "two-keys.pem",
            &format!("{}{}", key.serialize_pem(), KeyPair::generate().expect("a key").serialize_pem()),
        );
        files.put("windows.pem", &format!("\u{feff}{}", leaf.replace('\n', "\r\n")));
        files.put("windows-key.pem", &format!("\u{feff}{}", key.serialize_pem().replace('\n', "\r\n")));
        let wide: Vec<u8> = format!("\u{feff}{leaf}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        fs::write(files.path("wide.pem"), wide).expect("a file");
        let der = CertificateDer::from_pem_slice(leaf.as_bytes()).expect("it is one");
        fs::write(files.path("der.pem"), &der).expect("a file");
        fs::write(files.path("der-key.pem"), key.serialize_der()).expect("a file");
        fs::create_dir(files.path("folder.pem")).expect("a folder");
        let mut late = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        (late.not_before, late.not_after) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2021, 1, 1));
        files.put("late.pem", &late.signed_by(&key, &issuer).expect("a certificate").pem());
        let own = KeyPair::generate().expect("a key");
        late.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        files.put(
            "late-ca.pem",
            &format!("{}{}", own.serialize_pem(), late.self_signed(&own).expect("a certificate").pem()),
        );
        files
    }

    fn put(&self, name: &str, content: &str) {
        fs::write(self.0.path().join(name), content).expect("it can be written");
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn home(&self) -> PathBuf {
        self.0.path().join("home")
    }
}

#[test]
fn mistakes_with_certificates_are_refused_before_a_port_opens() {
    let files = Files::new();
    let route = "imaps://127.0.0.1:0=imaps://mail.example.org";
    for (flags, said) in [
        (&["--cert", "leaf.pem"][..], &["--cert", "the private key of this certificate is missing", "--key FILE"][..]),
        (&["--key", "key.pem"], &["--key", "the certificate of this key is missing", "--cert FILE"]),
        (&["--cert", "leaf.pem", "--key", "other.pem"], &["leaf.pem", "other.pem is not that of this certificate"]),
        (&["--cert", "nowhere.pem", "--key", "key.pem"], &["nowhere.pem", "cannot be read", "No such file"]),
        (&["--cert", "leaf.pem", "--key", "nowhere.pem"], &["nowhere.pem", "cannot be read"]),
        (&["--cert", "text.pem", "--key", "key.pem"], &["there is no certificate in it", "in PEM"]),
        (&["--cert", "cut.pem", "--key", "key.pem"], &["is it cut off?"]),
        (&["--cert", "rubbish.pem", "--key", "key.pem"], &["the certificate number 1 in it cannot be read"]),
        (&["--cert", "key.pem", "--key", "leaf.pem"], &["--cert", "there is no certificate in it"]),
        (&["--cert", "leaf.pem", "--key", "leaf.pem"], &["--key", "there is no private key in it"]),
        (
            &["--cert", "leaf.pem", "--key", "locked.pem"],
            &["the key has a passphrase", "`openssl pkey -in", "locked.pem -out FILE` writes it without one"],
        ),
        (&["--cert", "leaf.pem", "--key", "locked-old.pem"], &["the key has a passphrase", "`openssl pkey -in"]),
        (&["--cert", "leaf.pem", "--key", "two-keys.pem"], &["there are 2 private keys in it", "leave only that of"]),
        (&["--cert", "leaf.pem", "--key", "empty.pem"], &["--key", "empty.pem", "the file is empty"]),
        (&["--cert", "empty.pem", "--key", "key.pem"], &["--cert", "empty.pem", "the file is empty"]),
        (&["--cert", "folder.pem", "--key", "key.pem"], &["folder.pem", "cannot be read", "directory"]),
        (&["--cert", "leaf.pem", "--key", "folder.pem"], &["folder.pem", "cannot be read", "directory"]),
        (
            &["--cert", "der.pem", "--key", "key.pem"],
            &["it is in DER, and not in PEM", "`openssl x509 -inform DER -in", "der.pem -out FILE` converts it"],
        ),
        (
            &["--cert", "leaf.pem", "--key", "der-key.pem"],
            &["it is in DER, and not in PEM", "`openssl pkey -inform DER -in", "der-key.pem -out FILE` converts it"],
        ),
        (&["--cert", "wide.pem", "--key", "key.pem"], &["it is in UTF-16", "as UTF-8 or ASCII"]),
        (&["--cert", "leaf.pem", "--key", "wide.pem"], &["it is in UTF-16", "as UTF-8 or ASCII"]),
        (
            &["--cert", "turned.pem", "--key", "key.pem"],
            &["number 2 in the file, and not the first", "certificate first"],
        ),
        (&["--cert", "strange.pem", "--key", "key.pem"], &["number 2 did not sign the one before it"]),
        (&["--server-ca", "nowhere.pem"], &["--server-ca", "nowhere.pem", "cannot be read"]),
        (&["--server-ca", "text.pem"], &["--server-ca", "there is no certificate in it"]),
        (&["--server-ca", "key.pem", "--insecure"], &["there is no certificate in it"]),
        (&["--server-ca", "empty.pem"], &["--server-ca", "the file is empty"]),
        (&["--server-ca", "folder.pem"], &["--server-ca", "cannot be read"]),
        (&["--server-ca", "der.pem"], &["--server-ca", "it is in DER", "openssl x509"]),
        (&["--server-ca", "cut.pem"], &["--server-ca", "is it cut off?"]),
        (&["--server-ca", "rubbish.pem"], &["--server-ca", "number 1 in it cannot be read"]),
    ] {
        let mut arguments = vec!["proxy".to_owned(), route.to_owned()];
        arguments
            .extend(flags.iter().map(|flag| if flag.ends_with(".pem") { files.path(flag) } else { (*flag).into() }));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let answer = refused(&files.home(), &arguments);
        assert!(said.iter().all(|part| answer.contains(part)), "{flags:?}: {answer}");
    }
}

#[test]
fn line_ends_and_marks_of_other_systems_do_no_harm() {
    let files = Files::new();
    let flags = |cert: &str, key: &str| {
        let (cert, key) = (files.path(cert), files.path(key));
        first_line(&files, &["proxy", "imaps://127.0.0.1:0=imap://127.0.0.1:9", "--cert", &cert, "--key", &key])
    };
    assert!(flags("windows.pem", "windows-key.pem").starts_with("listening"));
    let said = flags("late.pem", "key.pem");
    assert!(said.contains("warning: --cert") && said.contains("late.pem: it expired on 2021-01-01"), "{said}");
}

#[test]
fn an_authority_that_cannot_be_used_is_told_with_its_place() {
    let files = Files::new();
    let home = files.home();
    fs::create_dir(&home).expect("a folder");
    let secret = home.join("ca-key.pem");
    let route = "imaps://127.0.0.1:0=imap://127.0.0.1:9";
    fs::copy(files.path("late-ca.pem"), &secret).expect("a file");
    set_mode(&secret, 0o600);
    for arguments in [&["proxy", route][..], &["ca", "show"]] {
        let said = refused(&home, arguments);
        for part in ["ca-key.pem", "its certificate has expired", "move this file away", "trust anew"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    fs::remove_file(&secret).expect("it is there");
    assert!(run(&home, &["ca", "path"]).status.success());
    for mode in [0o640, 0o604, 0o660] {
        set_mode(&secret, mode);
        let said = refused(&home, &["proxy", route]);
        for part in ["ca-key.pem", "others can read it", &format!("{mode:o}"), "chmod 600", "pretend to be any server"]
        {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    set_mode(&secret, 0o600);
    assert!(run(&home, &["ca", "path"]).status.success());
    // Not even root makes folders there.
    let said = refused(Path::new("/proc/nowhere"), &["proxy", route]);
    assert!(said.contains("local certificate authority cannot be written") && said.contains("/proc/nowhere"), "{said}");
    assert!(said.contains("IMAPSCOPE_HOME names the folder"), "{said}");
}

#[test]
fn processes_that_start_at_once_have_one_authority() {
    let files = Files::new();
    let home = files.home();
    let children: Vec<_> = (0..6)
        .map(|_| {
            imapscope(&home, &["ca", "show"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
        })
        .collect();
    let said: Vec<_> = children.into_iter().map(|child| child.wait_with_output().expect("it ends")).collect();
    assert!(said.iter().all(|output| output.status.success() && output.stderr.is_empty()), "{said:?}");
    assert!(said.windows(2).all(|pair| pair[0].stdout == pair[1].stdout));
    let shown = String::from_utf8(said[0].stdout.clone()).expect("UTF-8");
    assert!(shown.ends_with(&fs::read_to_string(home.join("ca.pem")).expect("the file is there")));
}

fn set_mode(file: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).expect("it is ours");
}

/// The first line that it says; then it is ended.
fn first_line(files: &Files, arguments: &[&str]) -> String {
    program::first_lines(imapscope(&files.home(), arguments), 1).pop().unwrap_or_default()
}

#[test]
fn a_system_home_or_key_log_that_cannot_be_used_is_told() {
    let files = Files::new();
    let mut command = imapscope(&files.home(), &["proxy", "127.0.0.1:0=imaps://mail.example.org"]);
    command.env("SSL_CERT_FILE", files.path("no/such/file")).env("SSL_CERT_DIR", files.path("no"));
    let said = refusal(command);
    assert!(said.contains("no certificates to verify a server with") && said.contains("--server-ca FILE"), "{said}");
    files.put("home", "a file, and no folder");
    let route = "imaps://127.0.0.1:0=imap://127.0.0.1:9";
    let said = refused(&files.home(), &["proxy", route]);
    assert!(said.contains("local certificate authority cannot be") && said.contains("IMAPSCOPE_HOME"), "{said}");
    let said = refused(&files.home(), &["ca", "path"]);
    assert!(said.contains("IMAPSCOPE_HOME"), "{said}");
    let (cert, key, nowhere) = (files.path("chain.pem"), files.path("key.pem"), files.path("no/such/file"));
    let mut command = imapscope(&files.home(), &["proxy", route, "--cert", &cert, "--key", &key]);
    command.env("SSLKEYLOGFILE", &nowhere);
    let said = refusal(command);
    assert!(said.contains("SSLKEYLOGFILE") && said.contains("cannot be written"), "{said}");
}

#[test]
fn the_authority_is_made_once_and_told() {
    let files = Files::new();
    let home = files.home();
    let out = |verb| {
        let output = run(&home, &["ca", verb]);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let path = out("path");
    assert_eq!(path, format!("{}\n", home.join("ca.pem").display()));
    let shown = out("show");
    assert!(shown.contains("# CN=imapscope local CA ") && shown.contains("# valid from 20"), "{shown}");
    assert!(shown.ends_with(&fs::read_to_string(path.trim()).expect("the file is there")));
    assert!(!shown.contains("PRIVATE"));
    assert_eq!(out("show"), shown);
    let help = out("help");
    for client in [
        "Thunderbird",
        "Apple Mail",
        "Windows",
        "Android",
        "Debian",
        "Fedora",
        "curl",
        "mutt",
        "Java",
        "Python",
        "Node",
    ] {
        assert!(help.contains(client), "{client}");
    }
    assert!(help.contains(path.trim()) && !help.contains("CA.PEM"), "{help}");
    assert!(help.lines().all(|line| line.len() <= 80 || line.contains(path.trim())), "{help}");
    files.put("home/ca-key.pem", "damaged");
    let said = refused(&home, &["ca", "show"]);
    assert!(said.contains("ca-key.pem") && said.contains("move this file away"), "{said}");
}

/// A server with TLS for one connection that says its greeting and answers every command with OK.
fn server(files: &Files) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("it has one").port();
    let chain = CertificateDer::pem_file_iter(files.path("chain.pem")).expect("a file").map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(files.path("key.pem")).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("they fit");
    thread::spawn(move || {
        let (socket, _) = listener.accept()?;
        let connection = ServerConnection::new(Arc::new(config)).expect("it is configured");
        let mut stream = BufReader::new(StreamOwned::new(connection, socket));
        stream.get_mut().write_all(b"* OK ready\r\n")?;
        let mut line = String::new();
        while stream.read_line(&mut line)? > 0 {
            let tag = line.split(' ').next().unwrap_or_default().to_owned();
            stream.get_mut().write_all(format!("{tag} OK done\r\n").as_bytes())?;
            line.clear();
        }
        std::io::Result::Ok(())
    });
    port
}

#[test]
fn a_session_with_tls_on_both_legs() {
    let files = Files::new();
    let route = format!("imaps://127.0.0.1:0=imaps://localhost:{}", server(&files));
    let ca = files.path("ca.pem");
    let keys = files.path("keys.txt");
    let mut command = imapscope(&files.home(), &["proxy", &route, "--server-ca", &ca, "--time", "none"]);
    command.env("SSLKEYLOGFILE", &keys).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut said = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
    assert!(said.next().expect("a line").contains("keys.txt (SSLKEYLOGFILE)"));
    let listening = said.next().expect("a line");
    let (address, to) = listening.strip_prefix("listening on imaps://").expect("it is TLS").split_once(" -> ").unwrap();
    assert!(to.starts_with("imaps://localhost:"), "{to}");

    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(files.home().join("ca.pem")).expect("it is there")).expect("it is one");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = std::net::TcpStream::connect(address).expect("it listens");
    // By its address: there is no SNI then.
    let connection = ClientConnection::new(Arc::new(config), "127.0.0.1".try_into().expect("an address"));
    let mut stream = BufReader::new(StreamOwned::new(connection.expect("configured"), socket));
    let mut line = String::new();
    stream.read_line(&mut line).expect("the greeting comes");
    stream.get_mut().write_all(b"a LOGIN alice wonderland7\r\n").expect("it takes it");
    stream.read_line(&mut line).expect("an answer comes");
    assert_eq!(line, "* OK ready\r\na OK done\r\n");
    stream.get_mut().conn.send_close_notify();
    stream.get_mut().flush().expect("it takes it");
    let mut rest = Vec::new();
    stream.get_mut().sock.shutdown(std::net::Shutdown::Write).expect("it is open");
    let _ = stream.read_to_end(&mut rest);
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs").success());
    let mut log = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut log).expect("the log is UTF-8");
    assert_eq!(child.wait().expect("it ends").code(), Some(0), "{log}");
    assert!(log.contains("TLS 1.3 with the client, TLS_AES_256_GCM_SHA384, no SNI"), "{log}");
    assert!(log.contains("| ours: for 127.0.0.1, localhost; by CN=imapscope local CA "), "{log}");
    assert!(log.contains("| verified: CN=rcgen self signed cert, for localhost; by CN=Files;"), "{log}");
    assert!(log.contains("C~ not-auth a LOGIN alice <hidden>") && !log.contains("wonderland7"), "{log}");
    assert!(fs::read_to_string(&keys).expect("the secrets are there").contains("SERVER_TRAFFIC_SECRET_0"));
}

#[test]
fn flags_without_effect_are_warned_about() {
    let files = Files::new();
    let (cert, key) = (files.path("chain.pem"), files.path("key.pem"));
    let first = |flags: &[&str]| {
        let mut arguments = vec!["proxy", "127.0.0.1:0=imap://127.0.0.1:9"];
        arguments.extend(flags);
        first_line(&files, &arguments)
    };
    let relay = ["--starttls", "relay"];
    let insecure = [&relay[..], &["--insecure"]].concat();
    assert!(first(&insecure).contains("warning: --server-ca and --insecure have no effect"));
    let shown = [&relay[..], &["--cert", &cert, "--key", &key]].concat();
    assert!(first(&shown).contains("warning: --cert and --key have no effect"));
    // Where a client's STARTTLS is followed, they have.
    assert!(first(&["--insecure"]).contains("no server is verified"));
    assert!(first(&["--cert", &cert, "--key", &key]).starts_with("listening"));
    assert!(!files.home().exists(), "no authority is made that nobody needs");
}
