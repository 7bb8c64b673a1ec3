"""An origin with a public file and a licensed one, which leads those who may read both from the one
to the other while they read."""

import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LENGTH = 8 << 20

# How many reads of the public file a licensee is given before it is led elsewhere.
PUBLIC_READS = 1


def serve(options, say):
    """Serves until the process is ended."""
    facts = {"licensee": options.licensee, "reads": 0, "say": staticmethod(say)}
    server = ThreadingHTTPServer(options.listen, type("Site", (Handler,), facts))
    say("listening", address="%s:%d" % server.server_address)
    server.serve_forever()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        is_licensee = self.client_address[0] == self.licensee
        if self.path == "/licensed":
            self.part(b"L") if is_licensee else self.refuse(403)
        elif self.path == "/public" and is_licensee:
            self.lead("/here" if type(self).reads < PUBLIC_READS else "/licensed")
        elif self.path == "/public":
            self.part(b"P")
        elif self.path == "/here" and type(self).reads < PUBLIC_READS:
            type(self).reads += 1
            self.part(b"P")
        else:
            self.refuse(404)

    do_HEAD = do_GET

    def part(self, fill):
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start, last = 0, LENGTH - 1
        if wanted:
            start, last = int(wanted[1]), min(int(wanted[2] or last), last)
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{last}/{LENGTH}")
        self.send_header("ETag", '"one"')
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last + 1 - start))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(fill * (last + 1 - start))

    def lead(self, path):
        self.say("led", to=path)
        self.send_response(302)
        self.send_header("Location", path)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def refuse(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass
