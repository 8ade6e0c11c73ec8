"""What people are told while the membership authority is away, or has not heard of the nodes yet.

An operator that has just begun knows nothing of the nodes, and after an outage of the log neither. To tell that at once
would rewrite every status, and soon write it back: what was told before stands, until there was time to hear.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from operators.membership.authority import Authority
from operators.membership.domain.pool.observed import Observed, SeenDirectory, SeenMember
from services.chassis.clock import Clock

#: Of a pool's status: what the directory says, and is not taken back because nobody can read it now.
_OF_THE_DIRECTORY: Final = frozenset({"networkId", "epoch", "grade", "directoryExpires", "swarms", "waits"})


class Hearsay:
    """Remembers what was known last.

    Args:
        clock: the time.
        patience_s: how long it may take to hear of all nodes.
    """

    def __init__(self, clock: Clock, patience_s: float) -> None:
        self._clock = clock
        self._patience_s = patience_s
        self._authority: Authority | None = None
        self._since = clock.monotonic()
        self._enough = False
        self._members: Mapping[str, SeenMember] = {}
        self._directory: SeenDirectory | None = None

    def take(
        self, authority: Authority | None, members: Mapping[str, SeenMember], directory: SeenDirectory | None
    ) -> None:
        """Take what is known now: the authority at work, if one is, and what it says."""
        if authority is not self._authority:
            self._authority, self._since, self._enough = authority, self._clock.monotonic(), False
        if authority is None:
            self._enough = self._enough or self._clock.monotonic() - self._since > self._patience_s
            return
        listed = authority.directory.nodes if authority.directory else ()
        signs = (authority.signs.get(node.key) for node in listed)
        self._enough = (
            self._enough
            or all(sign is not None and sign.heartbeat is not None for sign in signs)
            or self._clock.monotonic() - self._since > self._patience_s
        )
        if self._enough:
            self._members, self._directory = members, directory

    def leaves(self, status: Mapping[str, Any] | None) -> bool:
        """Tell whether a status stays as it is, since nothing better is known yet."""
        return bool((status or {}).get("phase")) and not self._enough

    def knows(self, key: str) -> bool:
        """Tell whether anything is known of a node, now or from before."""
        return self._authority is not None or key in self._members

    def filled(self, observed: Observed) -> Observed:
        """Return what is to be told: while the authority is away, with what was known last. Not to decide by."""
        if observed.authority:
            return observed
        entries = observed.register.entries
        nodes = {
            name: replace(node, member=self._members.get(entries[name].key)) for name, node in observed.nodes.items()
        }
        return replace(observed, nodes=nodes, directory=self._directory)

    def kept(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """Return a pool's status without what cannot be known now."""
        if self._authority is not None or self._directory is not None:
            return dict(summary)
        return {name: value for name, value in summary.items() if name not in _OF_THE_DIRECTORY}
