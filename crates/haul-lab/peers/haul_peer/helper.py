"""A helper that does as the page says; hostile ones change one thing each."""

import hashlib
import queue
import random
import threading
import time

from .origin import Origin, OriginError
from .session import Ended
from .wire import Frame

YES = 1

NETWORK, STOPPED = 1, 6

UNPROVEN, UNREACHABLE, PROTOCOL = 9, 8, 5

CHALLENGE = 16 << 10

# The longest that data waits for credit or for the proof.
PATIENCE = 30


class Lease:
    def __init__(self, number, start, end):
        self.number, self.at, self.end = number, start, end
        self.is_revoked = False

    def is_open(self):
        return self.at < self.end and not self.is_revoked


class Helper:
    """One session of a helper."""

    lanes = 4

    def __init__(self, session, say, source=None, options=None):
        self.session, self.say, self.source, self.options = session, say, source, options
        self.offer = self.job = None
        self.sent = 0
        self._leases, self._queue = {}, queue.Queue()
        self._credit, self._changed = 0, threading.Condition()
        self._proven, self._expected = threading.Event(), None

    def run(self):
        """Works for the leader until either side ends it."""
        try:
            self.offer = self.session.expect("offer", 20)
            self.say("offered", host=self.offer.host, size=self.offer.size)
            self.answer()
            self.job = self.session.expect("job", 20)
            self.session.is_granted = True
            self.prepare()
            self.say("ready")
            self.work()
        except Ended as ended:
            self.say("ended", because=str(ended), bye=ended.bye, sent=self.sent)
        finally:
            self._proven.set()
            self.session.connection.close()

    # The steps, each of which a hostile helper may do otherwise.

    def answer(self):
        self.session.send(Frame("answer", verdict=YES, after=0, lanes=self.lanes, budget=2**63))

    def prepare(self):
        """Challenges for a part that it reads at the same time, and says that it is ready."""
        length = min(CHALLENGE, self.job.length)
        start = random.randrange(self.job.length - length + 1)
        self.session.send(Frame("challenge", start=start, end=start + length))
        try:
            part = self.origin().all(start, start + length)
        except OriginError as error:
            self.session.bye(UNREACHABLE)
            raise Ended(f"the origin: {error}") from error
        self._expected = hashlib.sha256(part).digest()
        self.session.send(Frame("ready"))

    def work(self):
        for _ in range(self.lanes):
            threading.Thread(target=self._lane, daemon=True).start()
        while True:
            self.obey(self.session.next())

    def pieces(self, origin, start, end):
        """The bytes that it brings of a span, piece by piece, as the origin sends them."""
        yield from origin.read(start, end)

    # What the leader says.

    def obey(self, frame):
        if frame.kind == "grant":
            lease = Lease(frame.lease, frame.start, frame.end)
            self._leases[frame.lease] = lease
            self._queue.put(lease)
        elif frame.kind == "trim":
            lease = self._leases.get(frame.lease)
            if lease:
                lease.end = min(lease.end, frame.end)
        elif frame.kind == "revoke":
            lease = self._leases.pop(frame.lease, None)
            if lease:
                lease.is_revoked = True
        elif frame.kind == "credit":
            with self._changed:
                self._credit += frame.bytes
                self._changed.notify_all()
        elif frame.kind == "proof":
            self.check(frame)
        elif frame.kind != "lanes":
            self.session.bye(PROTOCOL)
            raise Ended(f"a {frame.kind} does not belong here")

    def check(self, proof):
        if proof.sha256 != self._expected:
            self.session.bye(UNPROVEN)
            raise Ended("the leader cannot read the file")
        self._proven.set()
        self.say("proven")

    # What it brings.

    def _lane(self):
        """Takes one lease after the other."""
        origin = self.origin()
        while True:
            lease = self._queue.get()
            try:
                self._bring(origin, lease)
            except OriginError:
                self._end(lease, Frame("failed", lease.number, reason=NETWORK, pause=1000))
                time.sleep(1)
            except Ended:
                return

    def _bring(self, origin, lease):
        for piece in self.pieces(origin, lease.at, lease.end) if lease.is_open() else ():
            if not lease.is_open():
                break
            piece = piece[: lease.end - lease.at]
            self._spend(len(piece))
            data = Frame("data", lease.number, offset=lease.at, bytes=piece)
            lease.at += len(piece)
            self.sent += len(piece)
            self.session.send(data)
        self._end(lease, Frame("done", lease.number))

    def _end(self, lease, word):
        """A lease that was taken back has no end."""
        if self._leases.pop(lease.number, None):
            self.session.send(word)

    def _spend(self, length):
        """Waits until the leader has proved itself and takes so many bytes."""
        if not self._proven.wait(PATIENCE):
            raise Ended("no proof came")
        with self._changed:
            if not self._changed.wait_for(lambda: self._credit >= length, PATIENCE):
                raise Ended("no credit came")
            self._credit -= length

    def origin(self):
        return Origin(self.job.url, self.job.length, self.job.validator, self.source)
