//! A login that a client sends before the server has said what it is: in the place of a message, a literal or a response, behind
//! a layer that does not begin. It is hidden whatever the server answers or leaves out, and so is what the answer repeats of it.

use crate::lanes::{Step, c, s};
use crate::secrets_mail::{CANARY, encoded, hides, plain};

/// For each protocol: how a conversation begins, what makes the client's next bytes unclear, logins, and refusals with a place
/// for what they repeat.
struct Protocol {
    name: &'static str,
    begins: &'static [(&'static str, &'static str)],
    asks: &'static [&'static str],
    logins: &'static [&'static str],
    refusals: &'static [&'static str],
}

const PROTOCOLS: [Protocol; 6] = [
    Protocol {
        name: "imap",
        begins: &[("", "* OK hi\r\n")],
        asks: &[
            "a APPEND x {200}\r\n",
            "a SELECT {3}\r\n",
            "a LOGIN bob {9}\r\n",
            "a LOGIN {3}\r\n",
            "a AUTHENTICATE PLAIN\r\n",
            "a COMPRESS DEFLATE\r\n",
            "a STARTTLS\r\n",
        ],
        logins: &["b LOGIN bob PW\r\n", "PW\r\n", "PLAIN\r\n", "b AUTHENTICATE PLAIN PLAIN\r\n"],
        refusals: &["a BAD no ECHO\r\n", "* BYE ECHO\r\n", "* BAD ECHO\r\na NO [X] ECHO no\r\n"],
    },
    Protocol {
        name: "smtp",
        begins: &[("", "220 hi\r\n"), ("EHLO x\r\n", "250-mx\r\n250 AUTH PLAIN\r\n")],
        asks: &["DATA\r\n", "BDAT 200 LAST\r\n", "AUTH PLAIN\r\n", "AUTH LOGIN\r\n", "STARTTLS\r\n"],
        logins: &["AUTH PLAIN PLAIN\r\n", "PLAIN\r\n", "CODED\r\n", "AUTH LOGIN CODED\r\nCODED\r\n"],
        refusals: &["500 bad ECHO\r\n", "421 bye (ECHO)\r\n", "554-5.0.0 ECHO\r\n554 5.0.0 ECHO\r\n"],
    },
    Protocol {
        name: "lmtp",
        begins: &[("", "220 hi\r\n"), ("LHLO x\r\n", "250-mx\r\n250 AUTH PLAIN\r\n")],
        asks: &["DATA\r\n", "BDAT 200 LAST\r\n", "AUTH PLAIN\r\n"],
        logins: &["AUTH PLAIN PLAIN\r\n", "PLAIN\r\n"],
        refusals: &["503 bad ECHO\r\n"],
    },
    Protocol {
        name: "pop3",
        begins: &[("", "+OK hi\r\n")],
        asks: &["AUTH PLAIN\r\n", "AUTH LOGIN\r\n", "STLS\r\n"],
        logins: &["PLAIN\r\n", "CODED\r\n", "PASS PW\r\n"],
        refusals: &["-ERR no ECHO\r\n", "-ERR [AUTH] ECHO\r\n"],
    },
    Protocol {
        name: "managesieve",
        begins: &[("", "\"SASL\" \"PLAIN\"\r\nOK\r\n")],
        asks: &["AUTHENTICATE \"PLAIN\"\r\n", "STARTTLS\r\n"],
        logins: &["\"PLAIN\"\r\n", "{36+}\r\nPLAIN\r\n", "AUTHENTICATE \"PLAIN\" \"PLAIN\"\r\n"],
        refusals: &["NO \"bad ECHO\"\r\n", "BYE \"ECHO\"\r\n"],
    },
    Protocol {
        name: "nntp",
        begins: &[("", "200 hi\r\n")],
        asks: &["POST\r\n", "IHAVE <a@b>\r\n", "AUTHINFO SASL PLAIN\r\n", "STARTTLS\r\n"],
        logins: &["AUTHINFO PASS PW\r\n", "PLAIN\r\n", "AUTHINFO SASL PLAIN PLAIN\r\n"],
        refusals: &["480 no ECHO\r\n", "502 ECHO\r\n"],
    },
];

/// What stands for the secret, and how it is written. The name of the mechanism stays.
fn fill(text: &str) -> String {
    let coded = text.replace("PW", CANARY).replace("CODED", &encoded(CANARY));
    // Only the last PLAIN of a line is the message; a first one behind a verb is the mechanism.
    let lines = coded.split_inclusive("\r\n").map(|line| match line.rfind("PLAIN") {
        Some(at) if !line.contains("AUTH") || line.matches("PLAIN").count() > 1 => {
            [&line[..at], &plain(), &line[at + "PLAIN".len()..]].concat()
        }
        _ => line.to_owned(),
    });
    lines.collect()
}

fn conversation(protocol: &Protocol, early: &str, answer: Option<&str>) -> Vec<Step> {
    let mut steps = Vec::new();
    for (client, server) in protocol.begins {
        if !client.is_empty() {
            steps.push(c(client));
        }
        steps.push(s(server));
    }
    steps.push(c(early));
    steps.extend(answer.map(s));
    steps
}

#[test]
fn what_is_sent_early_is_hidden_whatever_is_answered() {
    for protocol in &PROTOCOLS {
        for asks in protocol.asks {
            // A chunk is a message's, by its count: in it, only what begins as a login is none.
            let chunk = asks.starts_with("BDAT");
            for login in protocol.logins.iter().filter(|login| !chunk || login.starts_with("AUTH")) {
                let early = [asks, &*fill(login)].concat();
                hides(protocol.name, &conversation(protocol, &early, None));
                let line = fill(login);
                let line = line.trim_ascii();
                let echoes = [line, line.rsplit([' ', '\n']).next().unwrap_or(line), CANARY, &encoded(CANARY)];
                // What a server repeats of a message is shown.
                let refusals = protocol.refusals.iter().filter(|_| !chunk);
                for refusal in refusals {
                    for echo in echoes {
                        // A base64 of the password alone is no part of what was sent, unless it was.
                        if echo != encoded(CANARY) || line.contains(echo) {
                            let answer = refusal.replace("ECHO", &echo.replace("\r\n", " "));
                            hides(protocol.name, &conversation(protocol, &early, Some(&answer)));
                        }
                    }
                }
            }
        }
    }
}
