"""A session: the greeting, and frames after it."""

import hashlib
import hmac
import os
import threading
import time

from .tls import TlsError
from .wire import Frame, WireError, decode

LABEL = b"EXPORTER-haul-v1"

GROUP = 1

PING_AFTER, DEAD_AFTER, GREETING = 2, 8, 5

# How often a side that waits looks whether it has to say that it lives.
LOOK = 0.25


class Ended(Exception):
    """The session ended; `bye` is the other side's reason, if it gave one."""

    def __init__(self, why, bye=None):
        super().__init__(why)
        self.bye = bye


class Session:
    """Frames to and from the machine `peer`."""

    def __init__(self, connection):
        self.connection = connection
        self.peer = hashlib.sha256(connection.peer).digest()
        self.keying = connection.export(LABEL, 32)
        # Whether it shows that it lives, by pings and by pongs.
        self.lives = True
        self.is_granted = False
        # What the greeting tells.
        self.name = self.code = self.ask = None
        self.is_of_group = False
        self._buffer = bytearray()
        self._lock = threading.Lock()
        self._spoke = self._heard = time.monotonic()

    def send(self, *frames):
        self._spoke = time.monotonic()
        text = b"".join(frame.encode() for frame in frames)
        try:
            with self._lock:
                self.connection.send(text)
        except OSError as error:
            raise Ended(f"sending: {error}") from error

    def next(self, seconds=None):
        """The next frame that is more than a sign of life; `None` if the time is over before."""
        until = None if seconds is None else time.monotonic() + seconds
        while until is None or time.monotonic() < until:
            frame = self._take(min(LOOK, seconds or LOOK))
            self._live(frame)
            if frame and frame.kind == "bye":
                raise Ended("the other side said farewell", frame.reason)
            if frame and frame.kind not in ("ping", "pong"):
                return frame
        return None

    def expect(self, kind, seconds):
        frame = self.next(seconds)
        if frame is None or frame.kind != kind:
            raise Ended(f"{frame} where a {kind} belongs")
        return frame

    def _take(self, seconds):
        """The next frame of any kind, if one comes within this time."""
        try:
            frame = decode(self._buffer, self.is_granted)
            if frame is None:
                self._buffer += self.connection.receive(seconds)
                frame = decode(self._buffer, self.is_granted)
        except (OSError, EOFError, TlsError, WireError) as error:
            raise Ended(f"receiving: {error}") from error
        return frame

    def _live(self, frame):
        now = time.monotonic()
        self._heard = now if frame else self._heard
        if self.lives and frame and frame.kind == "ping":
            self.send(Frame("pong"))
        if self.lives and self.is_granted and now - self._spoke > PING_AFTER:
            self.send(Frame("ping"))
        if self.is_granted and now - self._heard > DEAD_AFTER:
            raise Ended("it is silent")

    def last_word(self):
        """The reason with which the other side has left, if that can still be read."""
        try:
            while self.next(0.1):
                pass
        except Ended as ended:
            return ended.bye
        return None

    def bye(self, reason):
        try:
            self.send(Frame("bye", reason=reason))
        except Ended:
            pass
        self.connection.close()


class Me:
    """Who greets: a key, a name and the key of a group, if it is of one."""

    def __init__(self, identity, name, group=None):
        self.identity, self.name, self.group = identity, name, group

    @property
    def id(self):
        return self.identity.id

    @property
    def features(self):
        return GROUP if self.group else 0


def greet(connection, me, ask):
    """The leader's side of the greeting."""
    session, nonce = Session(connection), os.urandom(32)
    commitment = commit(nonce, me.id, session.peer, session.keying)
    hello = {"minor": 0, "features": me.features, "name": me.name, "ask": ask}
    session.send(Frame("leader hello", commitment=commitment, **hello))
    theirs = session.expect("helper hello", GREETING)
    session.send(Frame("reveal", nonce=nonce))
    session.name, session.ask = theirs.name, ask
    session.code = code(session.keying, nonce, theirs.nonce, me.id, session.peer)
    if me.features & theirs.features & GROUP:
        ends = me.id + session.peer
        session.send(Frame("group proof", mac=group_proof(me.group, b"L", session, ends)))
        session.is_of_group = proves(session, me.group, b"H", ends)
    return session


def answer(connection, me):
    """The helper's side of the greeting."""
    session, nonce = Session(connection), os.urandom(32)
    theirs = session.expect("leader hello", GREETING)
    hello = {"minor": 0, "features": me.features, "name": me.name}
    session.send(Frame("helper hello", nonce=nonce, **hello))
    revealed = session.expect("reveal", GREETING).nonce
    if commit(revealed, session.peer, me.id, session.keying) != theirs.commitment:
        raise Ended("the leader does not hold to its commitment")
    session.name, session.ask = theirs.name, theirs.ask
    session.code = code(session.keying, revealed, nonce, session.peer, me.id)
    if me.features & theirs.features & GROUP:
        ends = session.peer + me.id
        session.is_of_group = proves(session, me.group, b"L", ends)
        session.send(Frame("group proof", mac=group_proof(me.group, b"H", session, ends)))
    return session


def commit(nonce, leader, helper, keying):
    return hashlib.sha256(b"haul-commit-1" + nonce + leader + helper + keying).digest()


def code(keying, leader_nonce, helper_nonce, leader, helper):
    """The six digits, as haul shows them."""
    text = b"haul-code-1" + leader_nonce + helper_nonce + leader + helper
    mac = hmac.new(keying, text, hashlib.sha256).digest()
    digits = f"{int.from_bytes(mac[:8], 'big') % 10**6:06}"
    return f"{digits[:3]} {digits[3:]}"


def group_proof(key, side, session, ends):
    text = b"haul-group-1" + side + session.keying + ends
    return hmac.new(key, text, hashlib.sha256).digest()


def proves(session, key, side, ends):
    theirs = session.expect("group proof", GREETING).mac
    return hmac.compare_digest(theirs, group_proof(key, side, session, ends))
