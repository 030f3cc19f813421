"""One compressed IMAP session: python3 compress.py HOST PORT USER PASSWORD [plain].

Asks for COMPRESS=DEFLATE if it is offered (RFC 4978), and fetches every message of the INBOX; prints how many octets they
have together. With `plain` the server is expected not to offer it. Fails on the first surprise.
"""

import imaplib
import socket
import sys
import zlib

host, port, user, password, *plain = sys.argv[1:]
socket.setdefaulttimeout(30)


class Inflated:
    """A file and a socket over a compressed connection, as imaplib wants them."""

    def __init__(self, sock):
        self.sock = sock
        self.packer = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, -zlib.MAX_WBITS)
        self.unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        self.buffer = b""

    def sendall(self, octets):
        self.sock.sendall(self.packer.compress(octets) + self.packer.flush(zlib.Z_SYNC_FLUSH))

    def fill(self):
        octets = self.sock.recv(4096)
        if not octets:
            sys.exit("compress.py: the connection ended")
        self.buffer += self.unpacker.decompress(octets)

    def read(self, size):
        while len(self.buffer) < size:
            self.fill()
        found, self.buffer = self.buffer[:size], self.buffer[size:]
        return found

    def readline(self, limit=-1):
        while b"\n" not in self.buffer:
            self.fill()
        return self.read(self.buffer.index(b"\n") + 1)

    def shutdown(self, how):
        self.sock.shutdown(how)

    def close(self):
        self.sock.close()


box = imaplib.IMAP4(host, int(port))
box.login(user, password)
offered = "COMPRESS=DEFLATE" in box.capability()[1][0].decode().upper().split()
if offered == bool(plain):
    sys.exit(f"compress.py: offered: {offered}")
if offered:
    imaplib.Commands["COMPRESS"] = ("AUTH",)
    answer = box._simple_command("COMPRESS", "DEFLATE")
    if answer[0] != "OK":
        sys.exit(f"compress.py: {answer!r}")
    inside = Inflated(box.sock)
    box.sock = inside
    box.read, box.readline, box.send = inside.read, inside.readline, inside.sendall
count = int(box.select("INBOX")[1][0])
octets = 0
for number in range(1, count + 1):
    octets += len(box.fetch(str(number), "(BODY.PEEK[])")[1][0][1])
print(octets)
box.logout()
