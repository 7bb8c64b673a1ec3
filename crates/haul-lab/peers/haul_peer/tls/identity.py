"""Keys by which machines are known."""

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from .fault import TlsError

# SubjectPublicKeyInfo of an Ed25519 key up to the key itself (RFC 8410 §4).
SPKI_HEAD = bytes.fromhex("302a300506032b6570032100")

# The order of the base point, and the prime of the field (RFC 8032 §5.1).
ORDER = 2**252 + 27742317777372353535851937790883648493
PRIME = 2**255 - 19

# The y of four of the points of order eight; the other four have its negative.
ORDER_8 = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)


class Identity:
    """A fresh Ed25519 key that is kept nowhere."""

    def __init__(self):
        self._key = Ed25519PrivateKey.generate()
        self.spki = SPKI_HEAD + raw(self._key)
        self.id = hashlib.sha256(self.spki).digest()

    def sign(self, message):
        return self._key.sign(message)


class SmallOrder:
    """A public key whose signatures anybody can make, as it is a point of small order.

    A signature (R, s) holds if sB = R + hA, where h is a digest of R, A and the message. One that
    was made for A = 0 holds whenever hA is zero: that is once in `order` tries.
    """

    def __init__(self, point):
        self.point = point
        self.spki = SPKI_HEAD + point
        self.id = hashlib.sha256(self.spki).digest()

    def sign(self, message):
        while True:
            key = Ed25519PrivateKey.generate()
            signature = raw(key) + (secret_scalar(key) % ORDER).to_bytes(32, "little")
            # Eight is a multiple of every small order.
            digest = hashlib.sha512(signature[:32] + self.point + message).digest()
            if int.from_bytes(digest, "little") % ORDER % 8 == 0:
                return signature


def small_order_points():
    """Every encoding of a point whose order divides eight, also those that are not canonical."""
    ys = [1, PRIME - 1, 0, ORDER_8, PRIME - ORDER_8, PRIME, PRIME + 1]
    encodings = [y | sign << 255 for y in ys for sign in (0, 1)]
    return [encoding.to_bytes(32, "little") for encoding in encodings]


def verify(spki, signature, message):
    """Holds a signature against the raw public key that came with it."""
    if len(spki) != len(SPKI_HEAD) + 32 or not spki.startswith(SPKI_HEAD):
        raise TlsError("the other side's key is not an Ed25519 key")
    try:
        Ed25519PublicKey.from_public_bytes(spki[len(SPKI_HEAD) :]).verify(signature, message)
    except InvalidSignature as error:
        raise TlsError("the other side does not hold its key") from error


def raw(key):
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def secret_scalar(key):
    """What the private key multiplies the base point with (RFC 8032 §5.1.5)."""
    seed = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    half = bytearray(hashlib.sha512(seed).digest()[:32])
    half[0] &= 248
    half[31] = half[31] & 127 | 64
    return int.from_bytes(half, "little")
