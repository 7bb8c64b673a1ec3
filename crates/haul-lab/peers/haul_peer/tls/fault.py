"""What goes wrong in TLS."""


class TlsError(Exception):
    """The other side broke TLS, or ended it with an alert."""
