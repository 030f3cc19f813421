//! Scripts are stored and read through imapscope with ManageSieve, by real clients.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::peer::client::{python, sieve_connect};
use crate::peer::sender::sent;
use crate::peer::server::Dovecot;
use crate::peer::stand::Stand;
use crate::peer::wanted;

/// The rules of the matrix. sieve-connect uses TLS where it is offered, and then nothing of its session can be read.
const MATRIX: [&[&str]; 4] = [&[], &["STARTTLS"], &["AUTH=PLAIN"], &["STARTTLS", "AUTH=LOGIN"]];

/// A script with what could be taken for protocol.
fn script(folder: &Path) -> PathBuf {
    let path = folder.join("script");
    let text = "require [\"fileinto\", \"vacation\"];\n# größer {5}\nif header :contains \"Subject\" \"OK\" {\n fileinto \"x\";\n}\n\
                vacation text:\n\"SASL\" \"PLAIN\"\nOK \"Logout completed.\"\n..\nNO {3}\n.\n;\n";
    fs::write(&path, text).expect("a file");
    path
}

fn stand(row: &[&str]) -> Stand {
    let server = Dovecot::serving("sieve", &[], "");
    Stand::between("sieve", row, server.address, server)
}

#[test]
fn a_script_is_stored_listed_read_activated_and_deleted() {
    if !wanted(&["dovecot", "python3"]) {
        return;
    }
    let mut told = BTreeSet::new();
    for row in MATRIX {
        let stand = stand(row);
        let script = script(stand.folder()).display().to_string();
        told.insert(python("sieve.py", stand.address(), &[&script]));
        let outcome = stand.finish();
        let plain = !row.contains(&"AUTH=PLAIN");
        assert_eq!(outcome.sent("AUTHENTICATE \"PLAIN\""), plain, "{row:?}");
        assert_eq!(outcome.sent("AUTHENTICATE \"LOGIN\""), !plain, "{row:?}");
        for text in ["PUTSCRIPT \"one\"", "GETSCRIPT", "answers PUTSCRIPT", "LOGOUT"] {
            outcome.logged(text);
        }
        outcome.blameless();
    }
    assert_eq!(told.len(), 1, "the content does not depend on what is dropped: {told:#?}");
}

#[test]
fn sieve_connect_stores_lists_reads_activates_and_deletes() {
    if !wanted(&["dovecot", "sieve-connect"]) {
        return;
    }
    for row in MATRIX {
        let stand = stand(row);
        let (near, folder) = (stand.address(), stand.folder().to_owned());
        let script = script(&folder).display().to_string();
        let run = |arguments: &[&str]| {
            let output = sieve_connect(near, &folder, arguments);
            sent(&output);
            String::from_utf8(output.stdout).expect("UTF-8")
        };
        run(&["--upload", "--localsieve", &script, "--remotesieve", "mine"]);
        assert!(run(&["--list"]).contains("\"mine\""), "it is listed");
        run(&["--activate", "--remotesieve", "mine"]);
        assert!(run(&["--list"]).contains("\"mine\" ACTIVE"), "it is active");
        let back = folder.join("back");
        run(&["--download", "--remotesieve", "mine", "--localsieve", &back.display().to_string()]);
        let (there, here) = (fs::read(&back).expect("a script"), fs::read(&script).expect("a script"));
        assert!(there == here, "it comes back as it was: {}", String::from_utf8_lossy(&there));
        run(&["--deactivate"]);
        run(&["--delete", "--remotesieve", "mine"]);
        assert!(!run(&["--list"]).contains("mine"), "it is gone");
        let outcome = stand.finish();
        let tls = !row.contains(&"STARTTLS");
        assert_eq!(outcome.sent("STARTTLS\r\n"), tls, "{row:?}");
        assert_eq!(outcome.sent("PUTSCRIPT"), !tls, "{row:?}");
        outcome.blameless();
        if !tls {
            outcome.logged("answers PUTSCRIPT");
        }
    }
}
