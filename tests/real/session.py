"""One IMAP session: python3 session.py HOST PORT USER PASSWORD [idle] [literal+] [condstore].

Uses imaplib for what it can and speaks by itself where it cannot. The words after the password are what the server
is expected to offer of IDLE, LITERAL+ and CONDSTORE; each is used if and only if it is offered. Prints what a person
would want to compare between two runs, and fails on the first surprise.
"""

import imaplib
import socket
import sys

host, port, user, password, *expected = sys.argv[1:]
socket.setdefaulttimeout(30)


def check(condition, what):
    if not condition:
        sys.exit(f"session.py: {what}")


def ok(answer):
    check(answer[0] == "OK", f"not OK: {answer!r}")
    return answer[1]


def lines_until(box, tag):
    """Lines up to the one with this tag."""
    found = []
    while True:
        line = box.readline()
        check(line.endswith(b"\r\n"), f"the connection ended behind {found!r}")
        found.append(line)
        if line.startswith(tag + b" "):
            check(line.startswith(tag + b" OK"), f"refused: {line!r}")
            return found


box = imaplib.IMAP4(host, int(port))
before = set(box.capabilities)
ok(box.login(user, password))
offered = set(ok(box.capability())[0].decode().split())
for name, word in [("IDLE", "idle"), ("LITERAL+", "literal+"), ("CONDSTORE", "condstore")]:
    check((name in offered) == (word in expected), f"{name}: offered after login {name in offered}, expected {expected}")
    if name != "CONDSTORE":
        check((name in before) == (word in expected), f"{name}: offered before login {name in before}")
print(" ".join(sorted(offered - {"IDLE", "LITERAL+", "CONDSTORE", "QRESYNC"})))

message = (
    b"From: a@example.org\r\nSubject: from Python\r\nMessage-ID: <py@example.org>\r\n\r\n"
    b"* CAPABILITY IMAP4rev1 IDLE LITERAL+ CONDSTORE\r\n\xff\xfe 8-bit {3}\r\n"
)
ok(box.append("INBOX", r"(\Flagged)", '"02-Feb-2026 10:00:00 +0000"', message))
if "LITERAL+" in offered:
    box.send(b"p1 APPEND INBOX {%d+}\r\n%s\r\n" % (len(message), message))
else:
    box.send(b"p1 APPEND INBOX {%d}\r\n" % len(message))
    check(box.readline().startswith(b"+"), "the server wants the literal")
    box.send(message + b"\r\n")
lines_until(box, b"p1")

# Allowed only while no mailbox is open.
if "CONDSTORE" in offered:
    box.send(b"p2 ENABLE CONDSTORE\r\n")
    check(any(b"ENABLED CONDSTORE" in line for line in lines_until(box, b"p2")), "CONDSTORE is enabled")
count = int(ok(box.select("INBOX"))[0])
print("messages", count)
if "CONDSTORE" in offered:
    box.send(b"p3 FETCH 1:* (FLAGS) (CHANGEDSINCE 1)\r\n")
    check(any(b"MODSEQ" in line for line in lines_until(box, b"p3")), "there are mod-sequences")
for number in (count - 1, count):
    (head, body), _ = ok(box.fetch(str(number), "(RFC822.SIZE BODY.PEEK[])"))
    check(body == message, f"message {number} came back as {body!r}")
print("found", len(ok(box.search(None, "SUBJECT", '"from Python"'))[0].split()))
ok(box.store(str(count), "+FLAGS", r"(\Seen \Answered)"))
ok(box.create("Copies"))
ok(box.copy(f"{count - 1}:{count}", "Copies"))
print("copied", ok(box.status("Copies", "(MESSAGES)"))[0].decode())

if "IDLE" in offered:
    box.send(b"p4 IDLE\r\n")
    check(box.readline().startswith(b"+"), "idling")
    # A second session changes what the first one waits for.
    other = imaplib.IMAP4(host, int(port))
    ok(other.login(user, password))
    ok(other.append("INBOX", None, None, message))
    other.logout()
    while True:
        line = box.readline()
        check(line.startswith(b"* "), f"unexpected while idling: {line!r}")
        if line == b"* %d EXISTS\r\n" % (count + 1):
            break
    box.send(b"DONE\r\n")
    lines_until(box, b"p4")
else:
    ok(box.append("INBOX", None, None, message))
    ok(box.noop())
print("messages", int(ok(box.select("INBOX"))[0]))
box.close()
box.logout()
