"""What a script does with imaplib: python3 imaplib_job.py HOST PORT USER PASSWORD careful|naive.

Lists, appends, searches, sorts, reads, moves a message to another mailbox and back out of it, and waits a moment. The
careful one uses of the extensions those that are offered, and finds another way where one is not; the naive one uses
them all without looking. Fails where the mailboxes are not as they should be.
"""

import imaplib
import socket
import sys

host, port, user, password, manner = sys.argv[1:]
socket.setdefaulttimeout(30)
imaplib.Commands |= {"MOVE": ("SELECTED",), "UNSELECT": ("SELECTED",), "IDLE": ("SELECTED",), "ID": ("NONAUTH", "AUTH")}


def ok(answer):
    if answer[0] != "OK":
        sys.exit(f"imaplib_job.py: refused: {answer!r}")
    return answer[1]


box = imaplib.IMAP4(host, int(port))
ok(box.login(user, password))
offered = set(ok(box.capability())[0].decode().upper().split())


def may(name):
    return manner == "naive" or name in offered


def numbers(answer):
    return [int(number) for number in (ok(answer)[0] or b"").split()]


if may("ID"):
    ok(box._simple_command("ID", '("name" "job")'))
if may("NAMESPACE"):
    ok(box.namespace())
if may("ENABLE") and may("CONDSTORE"):
    ok(box._simple_command("ENABLE", "CONDSTORE"))
mailboxes = ok(box._simple_command("LIST", '""', "*", "RETURN", "(CHILDREN)")) if may("LIST-EXTENDED") else ok(box.list())
ok(box.create("Moved"))
message = b"Subject: job\r\nMessage-ID: <job@example.org>\r\n\r\nA line.\r\n"
for _ in range(2):
    ok(box.append("INBOX", r"(\Seen)", None, message))
if may("STATUS=SIZE"):
    ok(box.status("INBOX", "(MESSAGES SIZE)"))
count = int(ok(box.select("INBOX"))[0])
found = numbers(box.uid("SEARCH", None, "SUBJECT", "job"))
if len(found) != 2:
    sys.exit(f"imaplib_job.py: found {found!r}")
if may("ESEARCH"):
    ok(box._simple_command("SEARCH", "RETURN", "(COUNT)", "SUBJECT", "job"))
if may("SORT") and len(numbers(box.sort("(ARRIVAL)", "UTF-8", "ALL"))) != count:
    sys.exit("imaplib_job.py: not all are sorted")
if may("THREAD=REFERENCES"):
    ok(box.thread("REFERENCES", "UTF-8", "ALL"))
for number in found:
    (_, body), _ = ok(box.uid("FETCH", str(number), "(BODY.PEEK[])"))
    if body != message:
        sys.exit(f"imaplib_job.py: {body!r}")
if may("CONDSTORE"):
    ok(box.fetch("1:*", "(UID MODSEQ)"))
if may("BINARY"):
    ok(box.uid("FETCH", str(found[0]), "(BINARY.PEEK[1])"))
if may("PREVIEW"):
    ok(box.uid("FETCH", str(found[0]), "(PREVIEW)"))
if may("WITHIN"):
    numbers(box.search(None, "YOUNGER", "3600"))
if may("SEARCHRES"):
    ok(box._simple_command("SEARCH", "RETURN", "(SAVE)", "SUBJECT", "job"))
    ok(box.fetch("$", "(FLAGS)"))
if may("IDLE"):
    tag = box._new_tag()
    box.send(tag + b" IDLE\r\n")
    line = box.readline()
    if not line.startswith(b"+"):
        sys.exit(f"imaplib_job.py: no waiting: {line!r}")
    box.send(b"DONE\r\n")
    while not (line := box.readline()).startswith(tag):
        pass
if may("LITERAL+"):
    box.send(b"lit1 APPEND Moved {%d+}\r\n%s\r\n" % (len(message), message))
    while not (line := box.readline()).startswith(b"lit1"):
        pass
    if not line.startswith(b"lit1 OK"):
        sys.exit(f"imaplib_job.py: {line!r}")
else:
    ok(box.append("Moved", None, None, message))
if may("MOVE"):
    ok(box.uid("MOVE", str(found[0]), "Moved"))
else:
    ok(box.uid("COPY", str(found[0]), "Moved"))
    ok(box.uid("STORE", str(found[0]), "+FLAGS", r"(\Deleted)"))
    ok(box.expunge())
ok(box.uid("STORE", str(found[1]), "+FLAGS", r"(\Deleted)"))
ok(box.uid("EXPUNGE", str(found[1])) if may("UIDPLUS") else box.expunge())
if may("UNSELECT"):
    ok(box._simple_command("UNSELECT"))
    box.state = "AUTH"
else:
    ok(box.close())
here, there = int(ok(box.select("INBOX"))[0]), int(ok(box.select("Moved"))[0])
if (here, there) != (count - 2, 2):
    sys.exit(f"imaplib_job.py: {here} and {there} messages")
box.logout()
