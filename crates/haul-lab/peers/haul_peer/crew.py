"""Many helpers of one process: so many keys, at so many addresses, in a bounded time."""

import threading
import time

from .hostile.helpers import COME_BACK, KEYS, SCENARIOS
from .meeting import help_at, side_by_side
from .session import Ended, Me
from .tls import Identity, TlsError, small_order_points

# A leader takes 16 connections from one address; beyond that they wait in its queue.
AT_ONE_ADDRESS = 14

PAUSE = 0.2


class Crew:
    """The helpers that come to one leader."""

    def __init__(self, leader, options, say):
        self.leader, self.options, self.say = leader, options, say
        self._until = time.monotonic() + options.seconds
        self._lock, self._begun = threading.Lock(), 0

    def run(self):
        options = self.options
        if options.scenario == "decoys":
            self.many("decoys", options.keys, AT_ONE_ADDRESS * len(options.sources))
            self.say("decoys left")
            self.many("spoil", options.spoilers, options.spoilers)
        else:
            self.many(options.scenario, options.keys, options.keys)

    def many(self, scenario, keys, at_once):
        """So many keys, of which so many at a time; some scenarios come back with fresh ones."""
        waiting = iter(range(keys))

        def work(slot):
            while time.monotonic() < self._until:
                with self._lock:
                    at = slot if scenario in COME_BACK else next(waiting, None)
                if at is None or not self._may_begin():
                    return
                self.one(scenario, at)
                time.sleep(PAUSE if scenario in COME_BACK else 0)

        side_by_side(min(keys, at_once), work)

    def _may_begin(self):
        with self._lock:
            self._begun += 1
            return self._begun <= self.options.sessions

    def one(self, scenario, at):
        """One session of one key."""
        options = self.options
        source = options.sources[at % len(options.sources)]
        me = Me(self.key(scenario, at), f"{options.name}{at}", options.group)

        def say(event, **facts):
            self.say(event, key=at, source=source, **facts)

        try:
            session = help_at(self.leader, me, source)
            greeted = {"code": session.code, "leader": session.name, "id": me.id}
            say("greeted", group=session.is_of_group, **greeted)
            SCENARIOS[scenario](session, say, options.fetch_from, options).run()
        except (OSError, EOFError, TlsError, Ended) as error:
            say("refused", because=f"{error!r}")

    def key(self, scenario, at):
        if scenario not in KEYS:
            return Identity()
        points = small_order_points()
        return KEYS[scenario](points[at % len(points)])
