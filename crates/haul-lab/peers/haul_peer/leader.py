"""A leader that does as the page says; hostile ones change one thing each."""

import hashlib
from urllib.parse import urlsplit

from .origin import Origin, look
from .session import Ended
from .wire import MOST_DATA, OPTIONAL_KINDS, VERDICTS, Frame

# What it gives away at a time, and how much credit for it.
PART, CREDIT = 1 << 20, 8 << 20

DONE, PROTOCOL = 1, 5

# A helper's owner may think for so long.
DECISION, STEP = 70, 75

MOST_CHALLENGES = 256


class Leader:
    """One session of a leader that wants the whole file from one helper."""

    # How many leases are out at a time.
    leases = 4

    def __init__(self, session, say, url, source=None, file=None):
        self.session, self.say, self.url = session, say, url
        self.length, self.validator = look(url, source)
        self.origin = Origin(url, self.length, self.validator, source)
        self.file, self.missing = file, self.length
        self._out, self._next, self._left = {}, 1, iter(self.spans())
        self._challenges = 0

    def run(self):
        """Leads the helper until either side ends it."""
        try:
            self.propose()
            self.session.is_granted = True
            self.hire()
            while self.missing:
                self.hear(self.session.next())
            self.say("done", bytes=self.length)
            self.session.bye(DONE)
        except Ended as ended:
            # Whoever sends to a machine that has left may not have read its last word.
            bye = ended.bye or self.session.last_word()
            self.say("ended", because=str(ended), bye=bye, missing=self.missing)
        finally:
            self.session.connection.close()

    # The steps, each of which a hostile leader may do otherwise.

    def propose(self):
        """From the offer to the job; whoever says no is left."""
        self.session.send(self.offer())
        answer = self.session.expect("answer", DECISION)
        self.say("answered", verdict=VERDICTS.get(answer.verdict), lanes=answer.lanes)
        if VERDICTS.get(answer.verdict) != "yes":
            raise Ended("the helper does not want to")
        self.session.send(Frame("job", **self.job()))

    def offer(self):
        parts = urlsplit(self.url)
        told = {"host": parts.hostname, "port": parts.port or 80, "size": self.length}
        return Frame("offer", scheme=0, share=self.length, **told)

    def job(self):
        return {"url": self.url, "length": self.length, "validator": self.validator}

    def hire(self):
        """Answers the first challenge, and begins once the helper is ready."""
        while True:
            frame = self.session.next(STEP)
            if frame is None:
                raise Ended("the helper does not get ready")
            if frame.kind == "ready":
                break
            self.hear(frame)
        self.session.send(Frame("lanes", lanes=self.leases), Frame("credit", bytes=CREDIT))
        for _ in range(self.leases):
            self.grant()

    def spans(self):
        """What it gives away, in this order."""
        for start in range(0, self.length, PART):
            yield start, min(start + PART, self.length)

    def prove(self, start, end):
        return hashlib.sha256(self.origin.all(start, end)).digest()

    # What the helper says.

    def hear(self, frame):
        if frame.kind == "challenge":
            self.challenged(frame)
        elif frame.kind == "data":
            self.take(frame)
        elif frame.kind in ("done", "failed"):
            self.close(frame)
        elif frame.kind not in OPTIONAL_KINDS:
            self.session.bye(PROTOCOL)
            raise Ended(f"a {frame.kind} does not belong here")

    def challenged(self, frame):
        self._challenges += 1
        if frame.end - frame.start > MOST_DATA or self._challenges > MOST_CHALLENGES:
            self.session.bye(PROTOCOL)
            raise Ended("it challenges for too much")
        self.say("challenged", start=frame.start, end=frame.end)
        self.session.send(Frame("proof", sha256=self.prove(frame.start, frame.end)))

    def take(self, data):
        at, end = self._out.get(data.lease, (None, 0))
        if data.offset != at or at + len(data.bytes) > end:
            self.session.bye(PROTOCOL)
            raise Ended(f"it sent other bytes than were next: {data.offset} for {at}")
        self._out[data.lease] = at + len(data.bytes), end
        self.store(data.offset, data.bytes)
        self.missing -= len(data.bytes)
        self.session.send(Frame("credit", bytes=len(data.bytes)))

    def store(self, offset, text):
        if self.file:
            self.file.seek(offset)
            self.file.write(text)

    def close(self, frame):
        at, end = self._out.pop(frame.lease)
        if frame.kind == "failed":
            self.say("failed", reason=frame.reason)
            self.grant((at, end))
        else:
            self.grant()

    def grant(self, span=None):
        span = span or next(self._left, None)
        if span:
            self._out[self._next] = span
            self.session.send(Frame("grant", self._next, start=span[0], end=span[1]))
            self._next += 1
