"""Both sides of the handshake (RFC 8446 §4)."""

import hashlib
import hmac
import os

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .connection import Connection
from .fault import TlsError
from .identity import verify
from .records import ALERT, HANDSHAKE, Records
from .schedule import SUITES, Schedule, Traffic, finished

ALPN = b"haul/1"

# Handshake messages.
CLIENT_HELLO, SERVER_HELLO, ENCRYPTED_EXTENSIONS, CERTIFICATE = 1, 2, 8, 11
CERTIFICATE_REQUEST, CERTIFICATE_VERIFY, FINISHED = 13, 15, 20

# Extensions, and what is offered in them.
GROUPS, SIGNATURES, PROTOCOLS, CLIENT_KIND, SERVER_KIND = 10, 13, 16, 19, 20
VERSIONS, KEY_SHARE = 43, 51
X25519, ED25519, RAW_KEY, TLS13 = 0x001D, 0x0807, 2, 0x0304


def dial(socket, identity):
    """The client's side; whoever dials is TLS's client."""
    return guarded(Handshake(socket, identity).as_client)


def accept(socket, identity):
    """The server's side."""
    return guarded(Handshake(socket, identity).as_server)


def guarded(handshake):
    """Bytes that end too early or say too little are the other side's fault."""
    try:
        return handshake()
    except (IndexError, KeyError, ValueError) as error:
        raise TlsError(f"the handshake is malformed: {error!r}") from error


class Handshake:
    def __init__(self, socket, identity):
        self._records = Records(socket)
        self._identity = identity
        self._transcript = b""
        self._private = X25519PrivateKey.generate()
        self._schedule = self._suite = None

    def as_client(self):
        self._send(CLIENT_HELLO, self._client_hello())
        share = self._read_server_hello(self._receive(SERVER_HELLO))
        self._agree(share)
        self._protect(read=self._schedule.server)
        self._check_choice(self._receive(ENCRYPTED_EXTENSIONS))
        request = self._receive(CERTIFICATE_REQUEST)
        context = request[: 1 + request[0]]
        peer = self._check_peer(b"server", self._schedule.server)
        client, server, exporter = self._schedule.application(self._transcript)
        self._protect(read=server, write=self._schedule.client)
        self._prove(b"client", context, self._schedule.client)
        self._protect(write=client)
        return Connection(self._records, peer, exporter)

    def as_server(self):
        session, share = self._read_client_hello(self._receive(CLIENT_HELLO))
        self._send(SERVER_HELLO, self._server_hello(session))
        self._agree(share)
        self._protect(read=self._schedule.client, write=self._schedule.server)
        self._send(ENCRYPTED_EXTENSIONS, vector(2, self._choice()))
        wanted = extension(SIGNATURES, vector(2, u16(ED25519)))
        self._send(CERTIFICATE_REQUEST, vector(1, b"") + vector(2, wanted))
        self._prove(b"server", vector(1, b""), self._schedule.server)
        client, server, exporter = self._schedule.application(self._transcript)
        self._protect(write=server)
        peer = self._check_peer(b"client", self._schedule.client)
        self._protect(read=client)
        return Connection(self._records, peer, exporter)

    # What both sides do.

    def _agree(self, share):
        shared = self._private.exchange(X25519PublicKey.from_public_bytes(share))
        self._schedule = Schedule(shared, self._transcript)

    def _protect(self, read=None, write=None):
        if read:
            self._records.reading = Traffic(self._suite, read)
        if write:
            self._records.writing = Traffic(self._suite, write)

    def _prove(self, side, context, secret):
        """Certificate, CertificateVerify and Finished."""
        entry = vector(3, self._identity.spki) + vector(2, b"")
        self._send(CERTIFICATE, context + vector(3, entry))
        signature = self._identity.sign(to_sign(side, self._transcript))
        self._send(CERTIFICATE_VERIFY, u16(ED25519) + vector(2, signature))
        self._send(FINISHED, finished(secret, self._transcript))

    def _check_peer(self, side, secret):
        """The key of the other side, which must have proved to hold it."""
        certificate = Reader(self._receive(CERTIFICATE))
        certificate.vector(1)
        spki = Reader(certificate.vector(3)).vector(3)
        signed = to_sign(side, self._transcript)
        proof = Reader(self._receive(CERTIFICATE_VERIFY))
        if proof.number(2) != ED25519:
            raise TlsError("a signature of another kind than was wanted")
        verify(spki, proof.vector(2), signed)
        expected = finished(secret, self._transcript)
        if not hmac.compare_digest(self._receive(FINISHED), expected):
            raise TlsError("the handshake was changed on its way")
        return spki

    def _send(self, kind, body):
        message = bytes([kind]) + vector(3, body)
        self._transcript += message
        self._records.write(HANDSHAKE, message)

    def _receive(self, kind):
        message = self._records.message(kind)
        self._transcript += message
        return message[4:]

    # Hellos.

    def _client_hello(self):
        suites = b"".join(map(u16, SUITES))
        offered = [
            extension(VERSIONS, vector(1, u16(TLS13))),
            extension(GROUPS, vector(2, u16(X25519))),
            extension(SIGNATURES, vector(2, u16(ED25519))),
            extension(KEY_SHARE, vector(2, self._share())),
            extension(CLIENT_KIND, vector(1, bytes([RAW_KEY]))),
            extension(SERVER_KIND, vector(1, bytes([RAW_KEY]))),
            extension(PROTOCOLS, vector(2, vector(1, ALPN))),
        ]
        return self._hello(vector(1, b""), vector(2, suites), vector(1, b"\0"), offered)

    def _server_hello(self, session):
        chosen = [extension(VERSIONS, u16(TLS13)), extension(KEY_SHARE, self._share())]
        return self._hello(vector(1, session), u16(self._suite), b"\0", chosen)

    def _hello(self, session, suites, compression, extensions):
        top = u16(0x0303) + os.urandom(32) + session + suites + compression
        return top + vector(2, b"".join(extensions))

    def _share(self):
        public = self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return u16(X25519) + vector(2, public)

    def _read_server_hello(self, body):
        hello = Reader(body)
        hello.take(2)
        if hello.take(32) == hashlib.sha256(b"HelloRetryRequest").digest():
            raise TlsError("the server wants another group")
        hello.vector(1)
        self._suite = hello.number(2)
        hello.take(1)
        chosen = extensions(hello)
        if self._suite not in SUITES or chosen.get(VERSIONS) != u16(TLS13):
            raise TlsError("the server chose what was not offered")
        return share_of(Reader(chosen[KEY_SHARE]))

    def _read_client_hello(self, body):
        hello = Reader(body)
        hello.take(34)
        session = hello.vector(1)
        suites = hello.vector(2)
        self._suite = next(suite for suite in numbers(suites) if suite in SUITES)
        hello.vector(1)
        offered = extensions(hello)
        kinds = [Reader(offered[kind]).vector(1) for kind in (CLIENT_KIND, SERVER_KIND)]
        spoken = [Reader(offered[PROTOCOLS]).vector(2)]
        if not all(RAW_KEY in kind for kind in kinds) or vector(1, ALPN) not in spoken[0]:
            # no_application_protocol, or unsupported_certificate.
            self._records.write(ALERT, bytes([2, 43 if vector(1, ALPN) in spoken[0] else 120]))
            raise TlsError("the client speaks something else")
        shares = Reader(Reader(offered[KEY_SHARE]).vector(2))
        while True:
            group, share = shares.number(2), shares.vector(2)
            if group == X25519:
                return session, share

    def _choice(self):
        return b"".join(
            [
                extension(CLIENT_KIND, bytes([RAW_KEY])),
                extension(SERVER_KIND, bytes([RAW_KEY])),
                extension(PROTOCOLS, vector(2, vector(1, ALPN))),
            ]
        )

    def _check_choice(self, body):
        chosen = extensions(Reader(body))
        raw_keys = [chosen.get(kind) == bytes([RAW_KEY]) for kind in (CLIENT_KIND, SERVER_KIND)]
        if not all(raw_keys) or chosen.get(PROTOCOLS) != vector(2, vector(1, ALPN)):
            raise TlsError("the server chose what was not offered")


class Reader:
    """Numbers and vectors of TLS's presentation language (RFC 8446 §3)."""

    def __init__(self, text):
        self._text, self._at = text, 0

    def take(self, length):
        part = self._text[self._at : self._at + length]
        if len(part) < length:
            raise TlsError("a message ends too early")
        self._at += length
        return part

    def number(self, length):
        return int.from_bytes(self.take(length), "big")

    def vector(self, length):
        return self.take(self.number(length))

    def is_at_end(self):
        return self._at == len(self._text)


def extensions(reader):
    rest, found = Reader(reader.vector(2)), {}
    while not rest.is_at_end():
        kind = rest.number(2)
        found[kind] = rest.vector(2)
    return found


def share_of(reader):
    if reader.number(2) != X25519:
        raise TlsError("a key share of another group than was offered")
    return reader.vector(2)


def numbers(text):
    return [int.from_bytes(text[at : at + 2], "big") for at in range(0, len(text), 2)]


def to_sign(side, transcript):
    label = b"TLS 1.3, " + side + b" CertificateVerify"
    return b" " * 64 + label + b"\0" + hashlib.sha256(transcript).digest()


def u16(number):
    return number.to_bytes(2, "big")


def vector(length, text):
    return len(text).to_bytes(length, "big") + text


def extension(kind, text):
    return u16(kind) + vector(2, text)
