"""One session under TLS: python3 tls.py HOST PORT USER PASSWORD CA HOW FOLDER [FILE…].

HOW is imap, pop3 or smtp, where TLS is begun with STARTTLS (STLS), or imaps, pop3s or smtps. Trusts CA and nothing else, and
checks the name. With imap and pop3 each message is written to FOLDER/NUMBER; with smtp each FILE is sent. Fails on the
first surprise.
"""

import imaplib
import poplib
import smtplib
import ssl
import sys

host, port, user, password, ca, how, folder, *files = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
port = int(port)


def keep(number, message):
    with open(f"{folder}/{number}", "wb") as file:
        file.write(message.replace(b"\r\n", b"\n"))


def check(condition, what):
    if not condition:
        sys.exit(f"tls.py: {what}")


if how.startswith("imap"):
    if how == "imaps":
        box = imaplib.IMAP4_SSL(host, port, ssl_context=context, timeout=30)
    else:
        box = imaplib.IMAP4(host, port, timeout=30)
        check(box.starttls(context)[0] == "OK", "TLS begins")
    box.login(user, password)
    count = int(box.select("INBOX")[1][0])
    for number in range(1, count + 1):
        keep(number, box.fetch(str(number), "(BODY.PEEK[])")[1][0][1])
    box.logout()
elif how.startswith("pop3"):
    if how == "pop3s":
        box = poplib.POP3_SSL(host, port, context=context, timeout=30)
    else:
        box = poplib.POP3(host, port, timeout=30)
        box.stls(context)
    box.user(user)
    box.pass_(password)
    for number in range(1, box.stat()[0] + 1):
        keep(number, b"".join(line + b"\r\n" for line in box.retr(number)[1]))
    box.quit()
else:
    name = "client.example.org"
    if how == "smtps":
        server = smtplib.SMTP_SSL(host, port, local_hostname=name, context=context, timeout=30)
    else:
        server = smtplib.SMTP(host, port, local_hostname=name, timeout=30)
        server.starttls(context=context)
    for file in files:
        with open(file, "rb") as opened:
            message = opened.read().replace(b"\n", b"\r\n")
        server.ehlo_or_helo_if_needed()
        options = ["SMTPUTF8", "BODY=8BITMIME"] if not message.isascii() else []
        check(not server.sendmail("alice@example.org", ["bob@example.org"], message, options), "it is taken")
    server.quit()
