"""Reads a mailbox twice: python3 pop.py HOST PORT USER PASSWORD FOLDER.

First with poplib, then by itself, with several commands at once where PIPELINING is offered. Of UIDL, TOP and SASL it
uses what is offered, and only that. Writes each message, with LF line ends, to FOLDER/NUMBER; fails on the first
surprise, and prints what a person would want to compare between two runs.
"""

import base64
import poplib
import socket
import sys

host, port, user, password, folder = sys.argv[1:]


def check(condition, what):
    if not condition:
        sys.exit(f"pop.py: {what}")


box = poplib.POP3(host, int(port), timeout=30)
offered = box.capa()
box.user(user)
box.pass_(password)
count, size = box.stat()
print("messages", count, size)
sizes = [line.split() for line in box.list()[1]]
check([int(number) for number, _ in sizes] == list(range(1, count + 1)), f"all are listed: {sizes!r}")
names = [line.split()[1] for line in box.uidl()[1]] if "UIDL" in offered else []
check(len(set(names)) == (count if "UIDL" in offered else 0), f"each has a name: {names!r}")
bodies = []
for number in range(1, count + 1):
    _, lines, octets = box.retr(number)
    body = b"".join(line + b"\r\n" for line in lines)
    check(int(sizes[number - 1][1]) == len(body), f"message {number} is as long as LIST says")
    bodies.append(body)
    with open(f"{folder}/{number}", "wb") as file:
        file.write(body.replace(b"\r\n", b"\n"))
    if "TOP" in offered:
        head = body.partition(b"\r\n\r\n")[0]
        _, lines, _ = box.top(number, 0)
        check(b"\r\n".join(lines).rstrip(b"\r\n") == head, f"the head of message {number}")
box.quit()

connection = socket.create_connection((host, int(port)), timeout=30)
stream = connection.makefile("rb")


def line():
    got = stream.readline()
    check(got.endswith(b"\r\n"), f"no line: {got!r}")
    return got


def good():
    got = line()
    check(got.startswith(b"+OK"), f"refused: {got!r}")
    return got


def lines():
    found = []
    while (got := line()) != b".\r\n":
        found.append(got.removeprefix(b"."))
    return found


good()
if "PLAIN" in offered.get("SASL", []):
    secret = base64.b64encode(f"\0{user}\0{password}".encode())
    connection.sendall(b"AUTH PLAIN\r\n")
    check(line().startswith(b"+ "), "the server wants the secret")
    connection.sendall(secret + b"\r\n")
    good()
elif "LOGIN" in offered.get("SASL", []):
    connection.sendall(b"AUTH LOGIN\r\n")
    for text in (user, password):
        check(line().startswith(b"+ "), "the server wants more")
        connection.sendall(base64.b64encode(text.encode()) + b"\r\n")
    good()
else:
    for text in (f"USER {user}", f"PASS {password}"):
        connection.sendall(text.encode() + b"\r\n")
        good()

commands = [b"STAT", b"LIST", b"LIST 1", b"NOOP"]
commands += [b"UIDL", b"UIDL 1"] if "UIDL" in offered else []
for number in range(1, count + 1):
    commands += [b"RETR %d" % number]
    commands += [b"TOP %d 1" % number] if "TOP" in offered else []
commands += [b"RSET"]
if "PIPELINING" in offered:
    connection.sendall(b"".join(command + b"\r\n" for command in commands))
for command in commands:
    if "PIPELINING" not in offered:
        connection.sendall(command + b"\r\n")
    good()
    verb, *arguments = command.split()
    if verb in (b"RETR", b"TOP") or (verb in (b"LIST", b"UIDL") and not arguments):
        got = lines()
        if verb == b"RETR":
            check(b"".join(got) == bodies[int(arguments[0]) - 1], f"the same as before: {command!r}")
        else:
            check(verb == b"TOP" or len(got) == count, f"all are listed: {command!r}")
connection.sendall(b"QUIT\r\n")
good()
