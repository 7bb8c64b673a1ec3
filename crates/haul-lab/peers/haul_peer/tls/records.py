"""The record layer (RFC 8446 §5)."""

import threading

from cryptography.exceptions import InvalidTag

from .fault import TlsError

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION = 20, 21, 22, 23

MOST = 1 << 14

KEY_UPDATE = 24


class Records:
    """Records over a socket, protected from when keys are set."""

    def __init__(self, socket):
        self.socket = socket
        self.reading = self.writing = None
        self._bytes = bytearray()
        self._handshake = bytearray()
        self._lock = threading.Lock()

    def write(self, kind, text):
        """Sends a text in as many records as it takes."""
        with self._lock:
            parts = [text[at : at + MOST] for at in range(0, len(text), MOST)]
            self.socket.sendall(b"".join(self._record(kind, part) for part in parts))

    def _record(self, kind, text):
        if self.writing is None:
            return head(kind, len(text)) + text
        sealed_head = head(APPLICATION, len(text) + 17)
        return sealed_head + self.writing.seal(text + bytes([kind]), sealed_head)

    def update(self):
        """Tells the other side that further keys follow, and goes on with them."""
        with self._lock:
            told = bytes([KEY_UPDATE, 0, 0, 1, 0])
            self.socket.sendall(self._record(HANDSHAKE, told))
            self.writing.update()

    def has_more(self):
        """Whether bytes have come that were not read yet."""
        return bool(self._bytes)

    def read(self):
        """The next record that means something."""
        while True:
            kind, text = self._read_one()
            if kind == ALERT:
                if text[-1:] == b"\0":
                    raise EOFError("the other side has closed the connection")
                raise TlsError(f"alert {text[-1]}")
            if kind != CHANGE_CIPHER_SPEC:
                return kind, text

    def _read_one(self):
        self._fill(5)
        length = int.from_bytes(self._bytes[3:5], "big")
        if length > MOST + 256:
            raise TlsError("a record is too long")
        self._fill(5 + length)
        top, text = bytes(self._bytes[:5]), bytes(self._bytes[5 : 5 + length])
        del self._bytes[: 5 + length]
        if self.reading is None or top[0] == CHANGE_CIPHER_SPEC:
            return top[0], text
        try:
            text = self.reading.open(text, top).rstrip(b"\0")
        except InvalidTag as error:
            raise TlsError("a record cannot be opened") from error
        if not text:
            raise TlsError("a record has no type")
        return text[-1], text[:-1]

    def _fill(self, length):
        while len(self._bytes) < length:
            more = self.socket.recv(1 << 16)
            if not more:
                raise EOFError("the other side has gone")
            self._bytes += more

    def message(self, expected):
        """The next handshake message, whole with its head; it must be of this type."""
        while len(self._handshake) < 4 or len(self._handshake) < 4 + self._message_length():
            kind, text = self.read()
            if kind != HANDSHAKE:
                raise TlsError(f"a record of type {kind} in the handshake")
            self._handshake += text
        length = 4 + self._message_length()
        message = bytes(self._handshake[:length])
        del self._handshake[:length]
        if message[0] != expected:
            raise TlsError(f"message {message[0]} where {expected} belongs")
        return message

    def _message_length(self):
        return int.from_bytes(self._handshake[1:4], "big")


def head(kind, length):
    return bytes([kind, 3, 3]) + length.to_bytes(2, "big")
