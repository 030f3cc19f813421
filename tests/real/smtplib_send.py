"""Sends mail with Python's smtplib: python3 smtplib_send.py HOST PORT USER PASSWORD AUTH SENDER RECIPIENT FILE…

AUTH is `login`, or - for none. Says BODY=8BITMIME and SMTPUTF8 where they are offered and wanted.
"""

import smtplib
import sys

host, port, user, password, login, sender, recipient, *files = sys.argv[1:]
with smtplib.SMTP(host, int(port), local_hostname="client.example.org", timeout=30) as server:
    server.ehlo()
    if login != "-":
        server.login(user, password)
    for file in files:
        with open(file, "rb") as opened:
            message = opened.read().replace(b"\n", b"\r\n")
        options = []
        if server.has_extn("8bitmime") and not message.isascii():
            options.append("BODY=8BITMIME")
        if server.has_extn("smtputf8") and not message.partition(b"\r\n\r\n")[0].isascii():
            options.append("SMTPUTF8")
        refused = server.sendmail(sender, [recipient], message, options)
        if refused:
            sys.exit(f"smtplib_send.py: refused: {refused!r}")
