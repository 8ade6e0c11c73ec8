"""Ports on 127.0.0.1: chosen free once, recorded, and kept while they are free."""

from __future__ import annotations

import socket
from collections.abc import Iterable

HOST = "127.0.0.1"


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
    """Return ``count`` distinct free ports outside ``taken``.

    All are held open until the last is known, so that none is given twice.
    """
    avoid = set(taken)
    held: list[socket.socket] = []
    try:
        while len(held) < count:
            probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            probe.bind((HOST, 0))
            if probe.getsockname()[1] in avoid:
                probe.close()
                continue
            held.append(probe)
        return [probe.getsockname()[1] for probe in held]
    finally:
        for probe in held:
            probe.close()


def keep_or_choose(wanted: list[int]) -> list[int]:
    """Return ``wanted`` with every port that is no longer free replaced by a free one."""
    lost = [port for port in wanted if not is_free(port)]
    fresh = iter(choose(len(lost), taken=wanted))
    return [next(fresh) if port in lost else port for port in wanted]
