"""TLS 1.3 (RFC 8446) with raw public keys on both sides (RFC 7250), and no more of it."""

from .fault import TlsError
from .handshake import accept, dial
from .identity import Identity, SmallOrder, small_order_points

__all__ = ["Identity", "SmallOrder", "TlsError", "accept", "dial", "small_order_points"]
