"""How leader and helper come to talk: asks by UDP, connections by TCP."""

import os
import socket
import threading
import time

from . import tls
from .session import answer, greet
from .wire import Ask, WireError, size_class

PORTS = range(4285, 4301)

CONNECT = 5

# When a leader asks: in rounds of five, in seconds since it began.
TIMES = [begun + after for begun in (0, 1, 3, 10) for after in (0, 0.01, 0.03, 0.06, 0.1)]


def connect(address, source=None):
    """A TCP connection, from an own address where one is named."""
    return prepared(socket.create_connection(address, CONNECT, (source, 0) if source else None))


def prepared(tcp):
    tcp.settimeout(CONNECT)
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return tcp


def help_at(address, me, source=None):
    """A helper's session with the leader at this address."""
    return answer(tls.dial(connect(address, source), me.identity), me)


def lead_at(address, me, source=None, ask=None):
    """A leader's session with the helper that listens at this address."""
    return greet(tls.dial(connect(address, source), me.identity), me, ask or os.urandom(16))


class Ears:
    """Where a helper hears asks, and takes in leaders that dial it."""

    def __init__(self, address):
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._udp.bind(address)
        self.address = self._udp.getsockname()

    def asks(self, until):
        """Every ask that was not heard before, with the address where its leader is."""
        known = set()
        while time.monotonic() < until:
            self._udp.settimeout(max(0.01, until - time.monotonic()))
            try:
                datagram, (source, _) = self._udp.recvfrom(2048)
                ask = Ask.decode(datagram)
            except (TimeoutError, WireError):
                continue
            if ask.id not in known:
                known.add(ask.id)
                yield ask, (source, ask.port)


class Door:
    """Where a leader takes in the helpers that it asked, at one of its addresses."""

    def __init__(self, source):
        self._tcp = first_free(source)
        self.source, self.port = source, self._tcp.getsockname()[1]

    def lead(self, helper, me, seconds, size=0):
        """A session with the helper that hears asks at this address."""
        id = os.urandom(16)
        ask = Ask(id, me.id, self.port, size_class(size) if size else 0)
        tcp = self._dialled(helper, ask, seconds)
        return greet(tls.accept(prepared(tcp), me.identity), me, id)

    def _dialled(self, helper, ask, seconds):
        """Asks as often as the page has it, until somebody dials."""
        began, times = time.monotonic(), iter(TIMES)
        until, next_time = began + seconds, next(times)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind((self.source, 0))
            while time.monotonic() < until:
                if time.monotonic() >= began + next_time:
                    udp.sendto(ask.encode(), helper)
                    next_time = next(times, seconds)
                wait = min(began + next_time, until) - time.monotonic()
                self._tcp.settimeout(max(0.001, wait))
                try:
                    return self._tcp.accept()[0]
                except TimeoutError:
                    pass
        raise TimeoutError("the helper does not dial")

    def close(self):
        self._tcp.close()


def first_free(source):
    """Listens on the first free port of those that helpers dial."""
    for port in PORTS:
        tcp = socket.socket()
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tcp.bind((source, port))
            tcp.listen(64)
            return tcp
        except OSError:
            tcp.close()
    raise OSError("no port is free that helpers dial")


def side_by_side(count, work):
    """Does `work(n)` for each number, each in a thread of its own, and waits for all."""
    threads = [threading.Thread(target=work, args=(at,), daemon=True) for at in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
