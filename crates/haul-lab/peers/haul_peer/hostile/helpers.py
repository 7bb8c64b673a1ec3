"""Hostile helpers, by the names of their scenarios."""

import threading
import time

from ..helper import Helper
from ..session import Ended
from ..tls import SmallOrder
from ..wire import Frame

PIECE = 64 << 10

BLOCK = 64 << 10


def wrong(text):
    """Bytes of the same length, none of which is right."""
    return bytes(text).translate(FLIPPED)


FLIPPED = bytes(byte ^ 255 for byte in range(256))


class Unread(Helper):
    """Is ready without having read anything, so that no proof is needed."""

    def prepare(self):
        self.session.send(Frame("ready"))
        self._proven.set()


class Spoil(Unread):
    """Wrong bytes from the start, as fast as the leader takes them."""

    def pieces(self, origin, start, end):
        for at in range(start, end, PIECE):
            yield b"\xa5" * min(PIECE, end - at)


class Late(Helper):
    """Right bytes up to 40 % of what it can hope to bring, and wrong ones after that."""

    def pieces(self, origin, start, end):
        hoped = self.options.honest or self.job.length * 4 // 10 // 4
        for piece in origin.read(start, end):
            yield piece if self.sent < hoped else wrong(piece)


class OneBlock(Helper):
    """One wrong block in all that it brings: the first that begins past the first MiB."""

    spoiled = None

    def pieces(self, origin, start, end):
        at = start
        for piece in origin.read(start, end):
            if self.sent >= 1 << 20 and self.spoiled is None:
                self.spoiled = at // BLOCK
                self.say("spoiled", start=at, length=len(piece))
                piece = wrong(piece)
            yield piece
            at += len(piece)


class Silent(Unread):
    """Joins, and is never heard of again."""

    def work(self):
        self.session.lives = False
        hold(self.session)


class Mute(Helper):
    """Says yes, and is never heard of again."""

    def prepare(self):
        self.session.lives = False
        hold(self.session)


class Pings(Unread):
    """Joins and shows that it lives, and that is all."""

    def work(self):
        hold(self.session)


class Challenges(Unread):
    """Challenges without end, and brings nothing."""

    count = 0

    def work(self):
        while True:
            length = min(PIECE, self.job.length)
            start = (self.count * 7919 * PIECE) % max(1, self.job.length - length)
            self.session.send(Frame("challenge", start=start, end=start + length))
            self.count += 1
            frame = self.session.next(20)
            while frame is not None and frame.kind != "proof":
                frame = self.session.next(20)
            if frame is None:
                raise Ended(f"no proof after {self.count} challenges")

    def run(self):
        super().run()
        self.say("challenged", count=self.count)


class Drip(Helper):
    """A KiB of right bytes a second, in crumbs."""

    lanes = 1

    def pieces(self, origin, start, end):
        for at in range(start, end, 1 << 10):
            time.sleep(1)
            yield origin.all(at, min(at + (1 << 10), end))


class Decoy(Helper):
    """Brings a little that is right, and leaves."""

    lanes = 1

    def work(self):
        threading.Thread(target=self._lane, daemon=True).start()
        while self.sent < self.options.little:
            frame = self.session.next(0.1)
            if frame:
                self.obey(frame)
        raise Ended("it has brought its little")

    def pieces(self, origin, start, end):
        yield from origin.read(start, min(end, start + self.options.little - self.sent))


def hold(session):
    """Keeps the session open and says nothing but what `session` says by itself."""
    while True:
        session.next(1)


# Which of them come back under a fresh key when their session has ended.
COME_BACK = {"fresh", "challenges", "silent", "mute", "pings"}

# What a scenario's keys are made of, where not of a fresh secret.
KEYS = {"small-order": SmallOrder}

SCENARIOS = {
    "honest": Helper,
    "spoil": Spoil,
    "late": Late,
    "one-block": OneBlock,
    "silent": Silent,
    "mute": Mute,
    "pings": Pings,
    "challenges": Challenges,
    "decoys": Decoy,
    "fresh": Spoil,
    "drip": Drip,
    "small-order": Helper,
}
