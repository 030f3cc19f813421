"""One ManageSieve session: python3 sieve.py HOST PORT USER PASSWORD FILE.

Logs in with a mechanism that is offered, stores FILE as a script in all the spellings of a string, lists, reads,
activates, renames and deletes. Prints what a person would want to compare between two runs, and fails on the first
surprise.
"""

import base64
import re
import socket
import sys

host, port, user, password, path = sys.argv[1:]
connection = socket.create_connection((host, int(port)), timeout=30)
stream = connection.makefile("rb")


def check(condition, what):
    if not condition:
        sys.exit(f"sieve.py: {what}")


def response():
    """Its lines up to the one with the result, which is the last; a literal is part of its line."""
    found = []
    while True:
        line = stream.readline()
        check(line.endswith(b"\r\n"), f"no line behind {found!r}")
        while match := re.search(rb"\{(\d+)\+?\}\r\n$", line):
            line += stream.read(int(match[1])) + stream.readline()
        found.append(line)
        if re.match(rb"(OK|NO|BYE)\b", line):
            return found


def ok():
    found = response()
    check(found[-1].startswith(b"OK"), f"refused: {found!r}")
    return found[:-1]


def say(text):
    connection.sendall(text + b"\r\n")


def names():
    say(b"LISTSCRIPTS")
    return [line.decode().strip() for line in ok()]


offered = dict(re.match(rb'"([^"]*)"(?: "(.*)")?\r\n', line).groups() for line in ok())
mechanisms = offered.get(b"SASL", b"").split()
if b"PLAIN" in mechanisms:
    secret = base64.b64encode(f"\0{user}\0{password}".encode())
    say(b'AUTHENTICATE "PLAIN" {%d+}\r\n%s' % (len(secret), secret))
else:
    check(b"LOGIN" in mechanisms, f"nothing to log in with: {offered!r}")
    say(b'AUTHENTICATE "LOGIN"')
    for text in (user, password):
        line = stream.readline()
        if match := re.match(rb"\{(\d+)\}\r\n", line):
            stream.read(int(match[1]))
            stream.readline()
        say(b'"%s"' % base64.b64encode(text.encode()))
ok()

with open(path, "rb") as file:
    script = file.read().replace(b"\n", b"\r\n")
say(b'HAVESPACE "one" %d' % len(script))
ok()
say(b'PUTSCRIPT "one" {%d+}\r\n%s' % (len(script), script))
ok()
say(b'PUTSCRIPT {3+}\r\ntwo "keep;"')
ok()
say(b'CHECKSCRIPT {8+}\r\nno sieve')
check(response()[-1].startswith(b"NO"), "what is no Sieve is refused")
# A text about several errors has several lines, and comes as a literal.
wrong = b"foo;\r\nbar;\r\nbaz;\r\n"
say(b'PUTSCRIPT "three" {%d+}\r\n%s' % (len(wrong), wrong))
check(response()[-1].startswith(b"NO"), "what is no Sieve is not stored")
print(names())
say(b'GETSCRIPT "one"')
found = b"".join(ok())
check(found == b"{%d}\r\n%s\r\n" % (len(script), script), f"the script comes back as {found!r}")
say(b'SETACTIVE "one"')
ok()
print(names())
say(b'DELETESCRIPT "one"')
check(response()[-1].startswith(b"NO"), "the active one stays")
say(b'SETACTIVE ""')
ok()
say(b'RENAMESCRIPT "one" "other"\r\nDELETESCRIPT "two"')
ok()
ok()
print(names())
say(b'DELETESCRIPT "other"')
ok()
print(names())
say(b"LOGOUT")
ok()
