"""Sends mail: python3 send.py HOST PORT USER PASSWORD smtp|lmtp AUTH SENDER RECIPIENT,… FILE…

Speaks by itself, and uses of PIPELINING, CHUNKING, 8BITMIME and SMTPUTF8 what is offered, and only that. AUTH is a
mechanism, or - for none. The files have LF line ends. Prints what each recipient was answered, for a message the
answers to it, one a line; fails on the first surprise.
"""

import base64
import hmac
import socket
import sys

host, port, user, password, protocol, mechanism, sender, recipients, *files = sys.argv[1:]
recipients = recipients.split(",")
connection = socket.create_connection((host, int(port)), timeout=30)
stream = connection.makefile("rb")


def check(condition, what):
    if not condition:
        sys.exit(f"send.py: {what}")


def reply():
    """One reply: its code and its lines."""
    lines = []
    while True:
        line = stream.readline()
        check(line.endswith(b"\r\n") and line[:3].isdigit(), f"no reply: {line!r} behind {lines!r}")
        lines.append(line[4:-2].decode())
        if line[3:4] != b"-":
            return int(line[:3]), lines


def say(line):
    connection.sendall(line + b"\r\n")


def expect(code):
    got, lines = reply()
    check(got == code, f"{got} where {code} was expected: {lines!r}")
    return lines


def encoded(text):
    return base64.b64encode(text.encode() if isinstance(text, str) else text)


expect(220)
say({"smtp": b"EHLO", "lmtp": b"LHLO"}[protocol] + b" client.example.org")
offered = {line.split(" ")[0].upper(): line.split(" ")[1:] for line in expect(250)[1:]}

if mechanism != "-":
    check(mechanism in offered.get("AUTH", []), f"{mechanism} is not offered: {offered!r}")
    if mechanism == "PLAIN":
        say(b"AUTH PLAIN " + encoded(f"\0{user}\0{password}"))
    elif mechanism == "LOGIN":
        say(b"AUTH LOGIN")
        expect(334)
        say(encoded(user))
        expect(334)
        say(encoded(password))
    else:
        say(b"AUTH CRAM-MD5")
        challenge = base64.b64decode(expect(334)[0])
        digest = hmac.new(password.encode(), challenge, "md5").hexdigest()
        say(encoded(f"{user} {digest}"))
    expect(235)


def chunks(message):
    """BDAT three times; the pieces end in the middle of lines."""
    third = len(message) // 3
    pieces = [message[:third], message[third : 2 * third], message[2 * third :]]
    for number, piece in enumerate(pieces):
        last = b" LAST" if number == 2 else b""
        yield b"BDAT %d%s\r\n%s" % (len(piece), last, piece)


def stuffed(message):
    """The message as DATA carries it."""
    lines = message.split(b"\r\n")
    check(lines.pop() == b"", "the file ends with a line end")
    return b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines) + b".\r\n"


for file in files:
    with open(file, "rb") as opened:
        message = opened.read().replace(b"\n", b"\r\n")
    head = message.partition(b"\r\n\r\n")[0]
    mail = f"MAIL FROM:<{sender}>".encode()
    if "8BITMIME" in offered and not message.isascii():
        mail += b" BODY=8BITMIME"
    if "SMTPUTF8" in offered and not head.isascii():
        mail += b" SMTPUTF8"
    group = [mail] + [f"RCPT TO:<{recipient}>".encode() for recipient in recipients]
    group = [line + b"\r\n" for line in group]
    # What belongs to the message and may go at once; DATA must be waited for.
    chunked = "CHUNKING" in offered
    rest = list(chunks(message)) if chunked else [b"DATA\r\n"]
    codes = []
    if "PIPELINING" in offered:
        connection.sendall(b"".join(group + (rest if chunked else rest[:1])))
        codes = [reply()[0] for _ in group]
    else:
        for line in group:
            connection.sendall(line)
            codes.append(reply()[0])
    check(codes[0] == 250, f"MAIL was answered {codes[0]}")
    accepted = sum(code == 250 for code in codes[1:])
    print("recipients", *codes[1:])
    if chunked:
        for number, chunk in enumerate(rest):
            if "PIPELINING" not in offered:
                connection.sendall(chunk)
            # In LMTP too only the last one is answered for each recipient.
            if number < 2:
                expect(250)
    else:
        if "PIPELINING" not in offered:
            connection.sendall(rest[0])
        expect(354)
        connection.sendall(stuffed(message))
    answers = [reply()[0] for _ in range(accepted if protocol == "lmtp" else 1)]
    print("message", *answers)
say(b"QUIT")
expect(221)
