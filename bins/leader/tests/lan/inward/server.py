"""A web server that leads whoever asks to another machine, in each way that there is.

server.py OTHER FOLDER: OTHER is the machine that is led to. Every connection and every request is
a line on standard output. FOLDER has a certificate and its key.
"""

import http.server
import re
import ssl
import sys
import threading

OTHER, FOLDER = sys.argv[1], sys.argv[2]
FILE = bytes(range(251)) * 16710
LENGTH = len(FILE)
TARGET = "/router/reboot"


def metalink(*urls):
    urls = "".join(f"<url priority='{at}'>{url}</url>" for at, url in enumerate(urls, 1))
    head = "<metalink xmlns='urn:ietf:params:xml:ns:metalink'><file name='file.bin'>"
    return f"{head}<size>{LENGTH}</size>{urls}</file></metalink>".encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20

    def log_message(self, *_):
        pass

    def do_GET(self):
        print("GET", self.path, flush=True)
        path, here = self.path, self.headers["Host"]
        led = f"http://{OTHER}{TARGET}"
        if path.startswith("/go/"):
            self.go(f"http://{path[4:]}{TARGET}")
        elif path.endswith((".sha256", "SHA256SUMS")):
            self.go(f"https://{OTHER}{TARGET}")
        elif path == "/hops":
            self.go("/hop")
        elif path == "/hop":
            self.go(led)
        elif path == "/mirrored":
            self.file(Link=f"<{led}>; rel=duplicate")
        elif path == "/described":
            kind = "application/metalink4+xml"
            self.file(Link=f'</d.meta4>; rel=describedby; type="{kind}"')
        elif path == "/described-there":
            kind = "application/metalink4+xml"
            self.file(Link=f'<{led}>; rel=describedby; type="{kind}"')
        elif path == "/d.meta4":
            self.document(metalink(led, f"http://{here}/file.bin"))
        elif path == "/only.meta4":
            self.document(metalink(led))
        else:
            self.file()

    def go(self, to):
        self.send_response(302)
        self.send_header("Location", to)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def document(self, text):
        self.send_response(200)
        self.send_header("Content-Type", "application/metalink4+xml")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def file(self, **fields):
        asked = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start, last = (int(asked[1]), int(asked[2] or LENGTH - 1)) if asked else (0, LENGTH - 1)
        body = FILE[start : min(last, LENGTH - 1) + 1]
        self.send_response(206 if asked else 200)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("ETag", '"one"')
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{start + len(body) - 1}/{LENGTH}")
        self.send_header("Content-Length", str(len(body)))
        # So that every request has its name resolved anew.
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            pass


class Server(http.server.ThreadingHTTPServer):
    address_family = 10  # AF_INET6, which takes IPv4 too
    daemon_threads = True

    def get_request(self):
        request = super().get_request()
        print("connected", flush=True)
        return request

    def handle_error(self, *_):
        pass


plain, secure = Server(("::", 80), Handler), Server(("::", 443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{FOLDER}/certificate.pem", f"{FOLDER}/key.pem")
secure.socket = context.wrap_socket(secure.socket, server_side=True, do_handshake_on_connect=False)
threading.Thread(target=secure.serve_forever, daemon=True).start()
print("ready", flush=True)
plain.serve_forever()
