"""A connection after its handshake."""

import select

from .fault import TlsError
from .records import ALERT, APPLICATION, HANDSHAKE, KEY_UPDATE
from .schedule import export

STALLED = 30


class Connection:
    """Bytes to and from a machine that has proved to hold the key `peer`."""

    def __init__(self, records, peer, exporter):
        self._records, self.peer, self._exporter = records, peer, exporter
        self._poll = select.poll()
        self._poll.register(records.socket, select.POLLIN)
        # One who sends, and one who reads a record that has begun, wait for so long.
        records.socket.settimeout(STALLED)

    @property
    def address(self):
        return self._records.socket.getpeername()

    def export(self, label, length):
        return export(self._exporter, label, length)

    def send(self, text):
        self._records.write(APPLICATION, text)

    def receive(self, seconds):
        """Some bytes; none if none came in this time, and `EOFError` once there are no more."""
        if not self._records.has_more() and not self._poll.poll(seconds * 1000):
            return b""
        kind, text = self._records.read()
        if kind == HANDSHAKE:
            self._after_handshake(text)
            return b""
        if kind != APPLICATION:
            raise TlsError(f"a record of type {kind}")
        return text

    def _after_handshake(self, text):
        """Tickets are of no use here; new keys are gone on with."""
        if text[0] == KEY_UPDATE:
            self._records.reading.update()
            if text[4] == 1:
                self._records.update()

    def close(self):
        try:
            self._records.write(ALERT, bytes([1, 0]))
        except OSError:
            pass
        self._records.socket.close()
