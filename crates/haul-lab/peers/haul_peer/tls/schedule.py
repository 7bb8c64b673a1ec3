"""The key schedule (RFC 8446 §7) for suites with SHA-256."""

import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

# Suites by their number: the cipher and the length of its key.
SUITES = {0x1301: (AESGCM, 16), 0x1303: (ChaCha20Poly1305, 32)}

ZEROS = bytes(32)


def extract(salt, secret):
    return hmac.new(salt, secret, hashlib.sha256).digest()


def expand_label(secret, label, context, length):
    label = b"tls13 " + label
    info = length.to_bytes(2, "big") + bytes([len(label)]) + label
    info += bytes([len(context)]) + context
    out, block = b"", b""
    while len(out) < length:
        counted = block + info + bytes([len(out) // 32 + 1])
        block = hmac.new(secret, counted, hashlib.sha256).digest()
        out += block
    return out[:length]


def derive(secret, label, transcript):
    return expand_label(secret, label, hashlib.sha256(transcript).digest(), 32)


def finished(secret, transcript):
    """The verify_data of a Finished."""
    key = expand_label(secret, b"finished", b"", 32)
    return hmac.new(key, hashlib.sha256(transcript).digest(), hashlib.sha256).digest()


class Schedule:
    """All secrets of a connection; `transcript` is every handshake message so far."""

    def __init__(self, shared, transcript):
        early = extract(ZEROS, ZEROS)
        self._handshake = extract(derive(early, b"derived", b""), shared)
        self.client = derive(self._handshake, b"c hs traffic", transcript)
        self.server = derive(self._handshake, b"s hs traffic", transcript)

    def application(self, transcript):
        """The two traffic secrets of the application and the exporter's, once the server's Finished
        is in the transcript."""
        master = extract(derive(self._handshake, b"derived", b""), ZEROS)
        labels = (b"c ap traffic", b"s ap traffic", b"exp master")
        return [derive(master, label, transcript) for label in labels]


def export(secret, label, length):
    """Keying material for the application, without a context (RFC 8446 §7.5)."""
    return expand_label(derive(secret, label, b""), b"exporter", hashlib.sha256().digest(), length)


class Traffic:
    """One direction of a connection."""

    def __init__(self, suite, secret):
        self._suite, self._secret = suite, secret
        self._set_keys()

    def _set_keys(self):
        cipher, length = SUITES[self._suite]
        self._cipher = cipher(expand_label(self._secret, b"key", b"", length))
        self._iv = int.from_bytes(expand_label(self._secret, b"iv", b"", 12), "big")
        self._number = 0

    def update(self):
        """Goes on with the next keys (RFC 8446 §7.2)."""
        self._secret = expand_label(self._secret, b"traffic upd", b"", 32)
        self._set_keys()

    def seal(self, text, head):
        return self._cipher.encrypt(self._nonce(), text, head)

    def open(self, sealed, head):
        return self._cipher.decrypt(self._nonce(), sealed, head)

    def _nonce(self):
        nonce = self._iv ^ self._number
        self._number += 1
        return nonce.to_bytes(12, "big")
