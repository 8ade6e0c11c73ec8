"""Ports on 127.0.0.1: chosen free once, recorded, and kept while they are free."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable

HOST = "127.0.0.1"
#: Below the range that systems hand out to outgoing connections, so that a stopped part's port is still free later.
RANGE = range(20_000, 32_000)


def is_free(port: int) -> bool:
    """Tell whether a TCP server could listen on this port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def choose(count: int, *, taken: Iterable[int] = ()) -> list[int]:
    """Return ``count`` distinct free ports outside ``taken``."""
    avoid = set(taken)
    chosen: list[int] = []
    while len(chosen) < count:
        port = random.choice(RANGE)  # noqa: S311 - no secret
        if port not in avoid and is_free(port):
            avoid.add(port)
            chosen.append(port)
    return chosen


def keep_or_choose(wanted: list[int]) -> list[int]:
    """Return ``wanted`` with every port that is no longer free replaced by a free one."""
    lost = [port for port in wanted if not is_free(port)]
    fresh = iter(choose(len(lost), taken=wanted))
    return [next(fresh) if port in lost else port for port in wanted]
