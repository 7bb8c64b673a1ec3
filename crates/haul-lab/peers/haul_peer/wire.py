"""Frames and asks, byte by byte."""

import hashlib
import hmac
import struct

HEAD = struct.Struct(">IBBHI")

OPTIONAL = 1

DATA = "data"

MOST_DATA = 64 << 10


class WireError(Exception):
    """Bytes that are no frame or no ask."""


# What a body is made of, as postcard writes it: a reader and a writer for each kind of field.


def read_number(body):
    number, shift = 0, 0
    while True:
        byte = body.take(1)[0]
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return number
        if shift > 63:
            raise WireError("a number does not end")


def write_number(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out + bytes([number]))


def read_text(body):
    return body.take(read_number(body)).decode()


def write_text(text):
    return write_number(len(text.encode())) + text.encode()


def read_option(body):
    return read_text(body) if body.take(1) == b"\1" else None


def write_option(text):
    return b"\0" if text is None else b"\1" + write_text(text)


def fixed(length):
    return (lambda body: body.take(length)), bytes


NUMBER = read_number, write_number
BYTE = (lambda body: body.take(1)[0]), (lambda number: bytes([number]))
TEXT = read_text, write_text
OPTION = read_option, write_option
OFFSET = (lambda body: struct.unpack(">Q", body.take(8))[0]), struct.Struct(">Q").pack
REST = (lambda body: body.take(len(body.left))), bytes

HELLO = [("minor", NUMBER), ("features", NUMBER), ("name", TEXT)]
SPAN = [("start", NUMBER), ("end", NUMBER)]

# Every frame: its kind, its name and the fields of its body.
FRAMES = {
    1: ("leader hello", [*HELLO, ("ask", fixed(16)), ("commitment", fixed(32))]),
    2: ("helper hello", [*HELLO, ("nonce", fixed(32))]),
    3: ("reveal", [("nonce", fixed(32))]),
    4: ("group proof", [("mac", fixed(32))]),
    5: (
        "offer",
        [("scheme", NUMBER), ("host", TEXT), ("port", NUMBER), ("size", NUMBER), ("share", NUMBER)],
    ),
    6: ("answer", [("verdict", BYTE), ("after", NUMBER), ("lanes", BYTE), ("budget", NUMBER)]),
    7: ("job", [("url", TEXT), ("length", NUMBER), ("validator", OPTION)]),
    8: ("challenge", SPAN),
    9: ("proof", [("sha256", fixed(32))]),
    10: ("ready", []),
    11: ("roll call", []),
    16: ("grant", SPAN),
    17: ("trim", [("end", NUMBER)]),
    18: ("revoke", []),
    19: ("credit", [("bytes", NUMBER)]),
    20: (DATA, [("offset", OFFSET), ("bytes", REST)]),
    21: ("done", []),
    22: ("failed", [("reason", BYTE), ("pause", NUMBER)]),
    23: ("lanes", [("lanes", BYTE)]),
    24: ("ping", []),
    25: ("pong", []),
    26: ("held", [("share", BYTE)]),
    27: ("lane limit", [("lanes", BYTE)]),
    31: ("bye", [("reason", BYTE)]),
}

KINDS = {name: kind for kind, (name, _) in FRAMES.items()}

# Whoever does not know these may do without them.
OPTIONAL_KINDS = ("held", "lane limit")

REASONS = {
    1: "done",
    2: "cancelled",
    3: "released",
    4: "spoiled",
    5: "protocol",
    6: "timeout",
    7: "stopped",
    8: "unreachable",
    9: "unproven",
    10: "version",
    11: "not wanted",
    12: "withdrawn",
}

VERDICTS = {1: "yes", 2: "no", 3: "busy", 4: "later"}


class Frame:
    """A frame by the name of its kind, with the fields of its body as attributes."""

    def __init__(self, kind, lease=0, **fields):
        self.kind, self.lease = kind, lease
        self.__dict__.update(fields)

    def __repr__(self):
        return f"Frame({self.__dict__})"

    def encode(self):
        number = KINDS[self.kind]
        fields = FRAMES[number][1]
        body = b"".join(write(getattr(self, field)) for field, (_, write) in fields)
        flags = OPTIONAL if self.kind in OPTIONAL_KINDS else 0
        return HEAD.pack(len(body), number, flags, 0, self.lease) + body


class Body:
    def __init__(self, text):
        self.left = text

    def take(self, length):
        if len(self.left) < length:
            raise WireError("a body ends too early")
        part, self.left = self.left[:length], self.left[length:]
        return part


def most(number, is_granted):
    """The longest body of this kind, after the yes or before it."""
    if number == KINDS[DATA]:
        return 8 + MOST_DATA if is_granted else 0
    return (64 if is_granted else 16) << 10


def decode(buffer, is_granted=True):
    """Takes the next frame off the front of a bytearray; `None` where more bytes are needed."""
    while len(buffer) >= HEAD.size:
        length, number, flags, _, lease = HEAD.unpack_from(buffer)
        if length > most(number, is_granted):
            raise WireError(f"a frame of kind {number} with {length} bytes")
        if len(buffer) < HEAD.size + length:
            return None
        body = bytes(buffer[HEAD.size : HEAD.size + length])
        del buffer[: HEAD.size + length]
        if number in FRAMES:
            return frame_of(number, lease, Body(body))
        if not flags & OPTIONAL:
            raise WireError(f"a frame of kind {number}")
    return None


def frame_of(number, lease, body):
    kind, fields = FRAMES[number]
    frame = Frame(kind, lease, **{field: read(body) for field, (read, _) in fields})
    if kind == DATA and not frame.bytes:
        raise WireError("data without a byte")
    return frame


class Ask:
    """The datagram by which a leader asks for help."""

    LENGTH = 512
    _LAYOUT = struct.Struct(">4sBBH16s32sHBBH8s16s")

    def __init__(self, id, leader, port, size=0, wanted=255, expires=60, group=b"", tag=b""):
        self.id, self.leader, self.port, self.size = id, leader, port, size
        self.wanted, self.expires, self.group, self.tag = wanted, expires, group, tag

    def encode(self):
        told = (self.id, self.leader, self.port, self.size, self.wanted, self.expires)
        top = self._LAYOUT.pack(b"HAUL", 1, 1, 0, *told, self.group, self.tag)
        return top.ljust(self.LENGTH, b"\0")

    @classmethod
    def decode(cls, datagram):
        if len(datagram) != cls.LENGTH or datagram[:6] != b"HAUL\1\1":
            raise WireError("no ask")
        return cls(*cls._LAYOUT.unpack_from(datagram)[4:])

    def mark(self, key, minute):
        """Says by its tag that it is the group's."""
        self.group = hashlib.sha256(b"haul-group-id-1" + key).digest()[:8]
        marked = b"haul-ask-1" + self.encode()[:70] + struct.pack(">Q", minute)
        self.tag = hmac.new(key, marked, hashlib.sha256).digest()[:16]


def size_class(length):
    """What an ask tells of a file's length."""
    return 1 + sum(length >= limit * 10**6 for limit in (100, 1000, 10_000))
