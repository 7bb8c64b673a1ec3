"""The command line of the package.

    python3 -m haul_peer helper --scenario silent --keys 16 --connect 10.77.0.1:4285
    python3 -m haul_peer leader --helper 10.77.0.11:4285 --url http://203.0.113.10/file.bin
    python3 -m haul_peer golden docs/PROTOCOL.md
"""

import argparse
import json
import os
import sys
import threading
import time

from . import golden
from .crew import Crew
from .hostile import helpers, leaders, origin
from .meeting import Ears
from .origin import OriginError
from .session import Ended
from .tls import TlsError


# No run says more than this, whatever it meets.
MOST_LINES = 20_000


class Report:
    """Tells what happens: a JSON object a line on standard output."""

    def __init__(self):
        self._lock, self._began, self._lines = threading.Lock(), time.monotonic(), 0

    def __call__(self, event, **facts):
        line = {"event": event, "at": round(time.monotonic() - self._began, 3), **facts}
        with self._lock:
            self._lines += 1
            if self._lines <= MOST_LINES:
                print(json.dumps(line, default=bytes.hex), flush=True)


def main():
    options = arguments()
    say = Report()
    if options.role == "golden":
        with open(options.page, encoding="utf-8") as page:
            for name, _ in golden.check(page.read()):
                say("golden", name=name)
        return
    end_after(options.seconds, say)
    roles = {"helper": help_leaders, "leader": lead, "origin": origin.serve}
    try:
        roles[options.role](options, say)
    except (OSError, EOFError, TlsError, Ended, OriginError) as error:
        say("failed", because=f"{error!r}")
        sys.exit(1)
    say("over")


def help_leaders(options, say):
    """Comes to the leaders that are named, or else to the first that asks."""
    if options.connect:
        for leader in options.connect:
            Crew(leader, options, say).run()
        return
    ears = Ears(options.hear)
    say("listening", address="%s:%d" % ears.address)
    for ask, leader in ears.asks(time.monotonic() + options.seconds):
        say("asked", leader="%s:%d" % leader, wanted=ask.wanted, size=ask.size, id=ask.leader)
        Crew(leader, options, say).run()
        return


def lead(options, say):
    leaders.SCENARIOS[options.scenario](options, say)


def end_after(seconds, say):
    """Ends the process when its time is over, whatever it does."""

    def end():
        say("over", because="its time is over")
        os._exit(0)

    watch = threading.Timer(seconds, end)
    watch.daemon = True
    watch.start()


def arguments():
    parser = argparse.ArgumentParser(prog="haul_peer")
    roles = parser.add_subparsers(dest="role", required=True)
    page = roles.add_parser("golden", help="check the golden bytes of the page")
    page.add_argument("page")
    site = roles.add_parser("origin", help="an origin that leads its helpers elsewhere")
    site.add_argument("--listen", type=address, default=("0.0.0.0", 80))
    site.add_argument("--licensee", required=True, help="the address that may read all")
    helper, leader = helper_arguments(roles), leader_arguments(roles)
    for role in (helper, leader):
        role.add_argument("--keys", type=int, default=1, help="how many machines it plays")
        role.add_argument("--from", dest="sources", action="append", help="an own address")
        role.add_argument("--fetch-from", help="an own address by which to read the origin")
        role.add_argument("--name", default="pia", help="of them all, with a number behind it")
        role.add_argument("--group", type=bytes.fromhex, help="the key of a group")
    for role in (helper, leader, site):
        role.add_argument("--seconds", type=float, default=60, help="the longest that it runs")
    return finished(parser.parse_args())


def helper_arguments(roles):
    role = roles.add_parser("helper", help="help a leader")
    role.add_argument("--scenario", choices=helpers.SCENARIOS, default="honest")
    role.add_argument("--connect", type=address, action="append", help="the leader's door")
    role.add_argument("--hear", type=address, default=("0.0.0.0", 4285), help="where to hear asks")
    role.add_argument("--sessions", type=int, default=1000, help="the most in all")
    role.add_argument("--honest", type=int, help="how many bytes of `late` are right")
    role.add_argument("--little", type=int, default=256 << 10, help="what a decoy brings")
    role.add_argument("--spoilers", type=int, default=4, help="how many come after the decoys")
    return role


def leader_arguments(roles):
    role = roles.add_parser("leader", help="lead a helper")
    role.add_argument("--scenario", choices=leaders.SCENARIOS, default="honest")
    role.add_argument("--helper", type=address, required=True, help="where it hears asks")
    role.add_argument("--dial", action="store_true", help="dial it, rather than ask")
    role.add_argument("--url", default="http://203.0.113.10/file.bin")
    role.add_argument("--output", help="where to save the file")
    role.add_argument("--size", type=int, default=0, help="what the ask tells of the size")
    role.add_argument("--patience", type=float, default=15, help="how long it asks")
    role.add_argument("--hold", type=float, default=1, help="for how long a prompt stays")
    role.add_argument("--depth", choices=["tcp", "tls", "greeted"], help="of half-open sessions")
    role.add_argument("--empty", default="10.77.0.100", help="the first empty address")
    return role


def finished(options):
    if getattr(options, "sources", None) is None:
        options.sources = [None]
    return options


def address(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


if __name__ == "__main__":
    main()
