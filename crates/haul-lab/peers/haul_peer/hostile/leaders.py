"""Hostile leaders, by the names of their scenarios."""

import os
import random
import socket
import struct
import threading
import time
from urllib.parse import urlsplit

from .. import tls
from ..leader import PART, Leader
from ..meeting import Door, connect, lead_at, side_by_side
from ..session import Ended, Me
from ..tls import Identity, SmallOrder, TlsError, small_order_points
from ..wire import VERDICTS, Ask, Frame


class Crumbs(Leader):
    """Leases of one byte, as many as there is room for: each is a request to the origin."""

    leases = 60

    def spans(self):
        at = 0
        while True:
            yield at, at + 1
            at = (at + PART + 1) % (self.length - 1)


class Pings(Leader):
    """Proves itself, and then only shows that it lives."""

    def hire(self):
        while True:
            frame = self.session.next()
            if frame.kind != "ready":
                self.hear(frame)


class NoCredit(Leader):
    """Grants, and gives no credit for a single byte."""

    credit = 0

    def hire(self):
        while True:
            frame = self.session.next()
            if frame.kind == "ready":
                break
            self.hear(frame)
        self.session.send(Frame("lanes", lanes=self.leases))
        for _ in range(self.leases):
            self.grant()
        threading.Thread(target=self.trickle, daemon=True).start()

    def trickle(self):
        """Gives a little credit every second."""
        while self.credit:
            try:
                self.session.send(Frame("credit", bytes=self.credit))
            except Ended:
                return
            time.sleep(1)


class TinyCredit(NoCredit):
    """As much credit as keeps the helper from ever sending a whole piece."""

    credit = 1


class Unread(Leader):
    """Proves what it has not read."""

    def prove(self, start, end):
        return bytes(32)


class OddHost(Leader):
    """Offers a host that is shown as another one where its odd letter is left out."""

    def offer(self):
        return Frame(
            "offer", scheme=0, host="exam$ple.org", port=80, size=self.length, share=self.length
        )


class Licensed(Leader):
    """Reads the public file, while its origin leads the helper to what only that may read."""

    leaked = 0

    def store(self, offset, text):
        self.leaked += text.count(b"L")
        super().store(offset, text)

    def run(self):
        super().run()
        self.say("leaked", bytes=self.leaked)


class OneSession:
    """A leader of one session, of any class above."""

    def __init__(self, kind):
        self.kind = kind

    def __call__(self, options, say):
        with Meeting(options) as meet:
            session = meet(Me(Identity(), options.name, options.group), size=options.size)
            say("greeted", code=session.code, helper=session.name, id=session.peer)
            file = open(options.output, "wb") if options.output else None
            self.kind(session, say, options.url, options.fetch_from, file).run()
            if file:
                file.close()


class Meeting:
    """How a leader comes to talk to its helper: by asking, or by dialling."""

    def __init__(self, options, source=None):
        self.options, self.source = options, source or options.sources[0]
        self._door = None if options.dial else Door(self.source or "0.0.0.0")

    def __enter__(self):
        return self

    def __call__(self, me, size=0):
        if self._door is None:
            return lead_at(self.options.helper, me, self.source)
        return self._door.lead(self.options.helper, me, self.options.patience, size)

    def __exit__(self, *_):
        if self._door:
            self._door.close()


def prompts(options, say):
    """Lets the owner be asked under one key after the other, and is gone before they answer."""

    def ask(at):
        source = options.sources[at % len(options.sources)]
        with Meeting(options, source) as meet:
            session = meet(Me(Identity(), f"{options.name}{at}"))
            session.send(offer(options.url))
            verdict = session.next(options.hold)
            say("prompted", key=at, source=source, verdict=verdict and verdict.verdict)
            session.connection.close()

    for at in range(options.keys):
        attempt(say, ask, at)


def half_open(options, say):
    """Connections that go so far and no farther, renewed as soon as they are closed: TCP, TLS or
    the greeting, in turns or as `--depth` says."""
    until = time.monotonic() + options.seconds

    def hold(at):
        depth = options.depth or ("tcp", "tls", "greeted")[at % 3]
        source = options.sources[at % len(options.sources)]
        while time.monotonic() < until:
            attempt(say, opened, depth, source)
            time.sleep(0.5)

    def opened(depth, source):
        if depth == "greeted":
            kept = lead_at(options.helper, Me(Identity(), options.name), source).connection
        else:
            kept = connect(options.helper, source)
        if depth == "tls":
            kept = tls.dial(kept, Identity())
        say("open", depth=depth, source=source)
        until_closed(kept, until)

    side_by_side(options.keys, hold)


def until_closed(kept, until):
    try:
        while time.monotonic() < until:
            if isinstance(kept, socket.socket):
                kept.settimeout(1)
                if not received(kept):
                    return
            else:
                kept.receive(1)
    except (EOFError, OSError, TlsError):
        return
    finally:
        kept.close()


def received(tcp):
    """Whether a connection is still open, after up to a second."""
    try:
        return tcp.recv(1)
    except TimeoutError:
        return b"?"


def forged_asks(options, say):
    """Asks at 30 a second whose sources are addresses at which nobody is."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        until, sent = time.monotonic() + options.seconds, 0
        first = socket.inet_aton(options.empty)
        while time.monotonic() < until:
            source = first[:3] + bytes([first[3] + sent % options.keys])
            ask = Ask(os.urandom(16), os.urandom(32), 4285 + sent % 16)
            raw.sendto(forged(source, options.helper, ask.encode()), options.helper)
            sent += 1
            time.sleep(1 / 30)
        say("forged", count=sent)


def forged(source, to, text):
    """A UDP datagram over IPv4 (RFC 791, RFC 768); without checksums, of which the kernel fills in
    that of IP, and that of UDP may be left out."""
    udp = struct.pack(">HHHH", 4285, to[1], 8 + len(text), 0) + text
    top = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0)
    return top + source + socket.inet_aton(to[0]) + udp


def vain(options, say):
    """Names a host that cannot be had under each of its keys, all from one address."""

    def name(at):
        url = f"http://10.{random.randrange(256)}.{random.randrange(256)}.3/f"
        with Meeting(options) as meet:
            session = meet(Me(Identity(), f"{options.name}{at}"))
            session.send(offer(url))
            verdict = VERDICTS.get(session.expect("answer", 20).verdict)
            say("answered", key=at, verdict=verdict)
            if verdict == "yes":
                session.send(Frame("job", url=url, length=1 << 20, validator=None))
                session.is_granted = True
                while session.next(20):
                    pass

    for at in range(options.keys):
        attempt(say, name, at)
        # A helper dials, and takes in, one address once in two seconds.
        time.sleep(2.1)


def small_order(options, say):
    """Comes under keys that everybody has."""

    def come(at):
        points = small_order_points()
        me = Me(SmallOrder(points[at % len(points)]), f"{options.name}{at}")
        source = options.sources[at % len(options.sources)]
        session = lead_at(options.helper, me, source)
        say("greeted", key=at, point=points[at % len(points)], id=me.id)
        session.connection.close()

    for at in range(options.keys):
        attempt(say, come, at)


def attempt(say, work, *arguments):
    """Does it, and tells if the helper does not let it."""
    try:
        work(*arguments)
    except (OSError, EOFError, TlsError, Ended) as error:
        bye = error.bye if isinstance(error, Ended) else None
        say("refused", because=f"{error!r}", bye=bye, of=list(map(str, arguments)))


def offer(url, size=1 << 20):
    parts = urlsplit(url)
    host, port = parts.hostname, parts.port or 80
    return Frame("offer", scheme=0, host=host, port=port, size=size, share=size)


SCENARIOS = {
    "honest": OneSession(Leader),
    "crumbs": OneSession(Crumbs),
    "pings": OneSession(Pings),
    "no-credit": OneSession(NoCredit),
    "tiny-credit": OneSession(TinyCredit),
    "unread": OneSession(Unread),
    "odd-host": OneSession(OddHost),
    "licensed": OneSession(Licensed),
    "prompts": prompts,
    "half-open": half_open,
    "forged-asks": forged_asks,
    "vain": vain,
    "small-order": small_order,
}
