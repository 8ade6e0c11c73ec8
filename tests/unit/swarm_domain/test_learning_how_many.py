"""The limit of commands under way, on a simulated server that commits in groups: nothing depends on the machine."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from services.swarm.domain.admission import AdaptiveLimit

LEAST, MOST, PATIENCE_S = 64, 1024, 0.2


@dataclass
class Server:
    """Takes whatever waits as one group, which costs something once and something for each."""

    limit: AdaptiveLimit = field(default_factory=lambda: AdaptiveLimit(least=LEAST, most=MOST, patience_s=PATIENCE_S))
    group_s: float = 0.01
    each_s: float = 0.0006
    now: float = 1000.0
    _queue: list[float] = field(default_factory=list)

    def run(self, seconds: float, clients: int) -> float:
        """Serve so many clients, each of which has always one command; return how many are carried out a second."""
        until, done = self.now + seconds, 0
        began = self.now
        while self.now < until:
            group = self._queue + [self.now] * (min(clients, self.limit.value) - len(self._queue))
            half = len(group) // 2
            group, late = group[: half or 1], group[half or 1 :]  # half of them come while a group is under way
            self.now += self.group_s + self.each_s * len(group)
            self._queue = late
            for begun in group:
                self.limit.learn(self.now, self.now - begun, len(group) + len(late))
            done += len(group)
        return done / (self.now - began)


def bearable(server: Server) -> float:
    """Return how many are under way when each takes as long as is bearable: two groups follow on each other."""
    return (PATIENCE_S - 2 * server.group_s) / server.each_s


def test_a_crowd_is_held_at_what_is_done_within_patience() -> None:
    server = Server()
    server.run(5, clients=5000)
    assert server.limit.value == pytest.approx(bearable(server), rel=0.3)


def test_a_slower_server_gets_fewer_and_a_faster_one_more() -> None:
    server = Server()
    server.run(5, clients=5000)
    before = server.limit.value
    server.each_s *= 3
    server.run(5, clients=5000)
    assert LEAST < server.limit.value < 0.5 * before
    server.each_s /= 6
    server.run(5, clients=5000)
    assert server.limit.value > 1.4 * before


def test_a_limit_costs_no_throughput() -> None:
    free = Server(AdaptiveLimit(least=MOST, most=MOST, patience_s=PATIENCE_S))
    limited = Server()
    limited.run(3, clients=1000)
    assert limited.run(10, clients=1000) > 0.9 * free.run(10, clients=1000)


def test_a_fast_server_is_held_only_by_the_bound() -> None:
    server = Server(each_s=0.00005)
    server.run(5, clients=5000)
    assert server.limit.value == MOST


def test_a_stall_is_forgotten_within_a_second() -> None:
    server = Server()
    server.run(5, clients=1000)
    before = server.limit.value
    for _ in range(20):  # the log was away: whatever was under way took seconds
        server.now += 1.0
        for _ in range(before):
            server.limit.learn(server.now, 5.0, before)
    assert server.limit.value == LEAST
    server.run(1.2, clients=1000)
    assert server.limit.value > 0.6 * before


def test_a_slow_disk_keeps_its_groups() -> None:
    server = Server(group_s=0.3)
    server.run(5, clients=20)  # what a command takes without hurry is more than is bearable elsewhere
    alone = server.run(5, clients=LEAST)
    assert server.run(10, clients=1000) > 2 * alone
    assert server.limit.value > LEAST


def test_few_clients_change_nothing() -> None:
    server = Server()
    before = server.limit.value
    server.run(5, clients=10)
    assert server.limit.value == before


def test_what_ends_at_once_is_no_reason_for_alarm() -> None:
    limit = AdaptiveLimit(least=1, most=10, patience_s=0.1)
    for moment in range(1000):
        limit.learn(float(moment), 0.0, 10)
    assert limit.value == 10


@pytest.mark.parametrize(("least", "most", "patience_s"), [(0, 5, 1.0), (6, 5, 1.0), (1, 5, 0.0), (1, 5, -1.0)])
def test_a_limit_needs_bounds_and_patience(least: int, most: int, patience_s: float) -> None:
    with pytest.raises(ValueError, match="limit"):
        AdaptiveLimit(least=least, most=most, patience_s=patience_s)
