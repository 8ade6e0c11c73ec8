"""Reading what a node of a path says when it cannot go on (wire 5.7). Pure.

These answers are not sealed: any hop may invent one. So they are hints with bounded effect: a strike, a new path, and
never a reason to change the clock or the swarm (406 and 421 count only inside the sealed reply).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from naisho.errors import PathBroken, PathError
from naisho.network.words import MOST_CHARACTERS, plain_words
from naisho.paths.choosing import Route

NAMED = re.compile(
    r"(Next node not found|Next node is currently unreachable|Snode not ready): ([0-9a-fA-F]{64})(?![0-9a-fA-F])"
)


class Failure(NamedTuple):
    """Why no answer came back through a path.

    Attributes:
        error: what to tell the user if nothing else helps.
        blamed: keys of the nodes that get a strike.
        fatal: the blamed nodes are left out now, without waiting for more strikes.
        of_destination: the path itself carried the request as far as it could.

    """

    error: PathError
    blamed: tuple[bytes, ...]
    fatal: bool = False
    of_destination: bool = False


def read_failure(status: int, body: bytes, route: Route, destination: bytes) -> Failure:
    """Return what a plain answer other than 200 means for a path and its destination."""
    text = body[:MOST_CHARACTERS].decode("utf-8", "replace")
    middle_and_exit = (route.middle.key, route.exit.key)
    if named := NAMED.search(text):
        reason, node = named[1], bytes.fromhex(named[2])
        error = PathBroken(status=status, reason=reason)
        if node == destination:
            return Failure(error, (node,), fatal=reason == "Next node not found", of_destination=True)
        if node in {hop.key for hop in route}:
            return Failure(error, (node,), fatal=reason == "Next node not found")
        return Failure(error, middle_and_exit)
    error = PathBroken(status=status, reason=plain_words(text))
    return Failure(error, (route.entry.key,) if status in {429, 503} else middle_and_exit)
