"""A default network, a process for each node, every process tapped; and what each node can see of it all."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.request import urlopen

from naisho.protocol.directory import Node
from tests.integration.claims import tape
from tests.networks import RunningNetwork

NODES: Final = 15
#: Edges at which a client's request passes from hop to hop.
REQUEST_EDGES: Final = ("https", "hop", "layer", "mailbox")

#: What a node sees, by place.
View = Mapping[str, bytes]


class TappedNetwork(RunningNetwork):
    """A running network whose nodes' views can be read.

    Args:
        home: its data directory.
        broken_for: the client's address for which every node is broken on purpose.
    """

    program = (sys.executable, "-m", "tests.integration.claims.tapped_naisho")

    def __init__(self, home: Path, *, broken_for: str) -> None:
        self._tapes = home.parent / "tapes"
        environment = {
            "CLAIMS_TAPES": str(self._tapes),
            "CLAIMS_BROKEN_FOR": broken_for,
            "PYTHONPATH": str(Path(__file__).parents[3]),
        }
        super().__init__(home, "--nodes", str(NODES), "--processes", str(NODES), environment=environment)

    def start(self) -> None:
        super().start()
        hosts = [(bytes.fromhex(node["key"]), node["processes"]) for node in self.status["nodes"]]
        self._hosts = {key: process for key, (process,) in hosts}
        self._metrics = {process["name"]: process["metrics"] for process in self.status["processes"]}
        assert len(set(self._hosts.values())) == NODES, "each node is a process of its own"
        self._names = {bytes.fromhex(node["key"]): node["name"] for node in self.status["nodes"]}

    def nodes(self) -> list[Node]:
        """Return all nodes, as the directory has them."""
        return list(self.directory().nodes)

    def mark(self) -> dict[bytes, int]:
        """Return where every node's tape is now."""
        return {key: tape.length(self._tape(key)) for key in self._hosts}

    def seen_by(self, key: bytes, since: Mapping[bytes, int]) -> View:
        """Return a node's view: what its taps heard since a mark, its metrics, log and folder; and see `events`."""
        view = dict(self.heard_by(key, since))
        return view | self.at_rest_with(key) | {"its metrics": self.metrics_of(key)}

    def events(self) -> View:
        """Return the whole event log as it lies on its disk: every node follows some of it, and might read all."""
        return {f"events {name}": data for name, data in _files(self.home / "nats").items()}

    def heard_by(
        self, key: bytes, since: Mapping[bytes, int], *edges: str, until: Mapping[bytes, int] | None = None
    ) -> View:
        """Return what a node's taps heard between two marks, at edges of these kinds or at all of them."""
        streams = tape.read(self._tape(key), since.get(key, 0), until[key] if until else None)
        return {
            f"{stream.edge} {number}": stream.data
            for number, stream in enumerate(streams)
            if not edges or stream.edge.startswith(edges)
        }

    def log_of(self, key: bytes) -> bytes:
        """Return what a node's process has logged."""
        return (self.home / "nodes" / f"{self._hosts[key]}.log").read_bytes()

    def metrics_of(self, key: bytes) -> bytes:
        """Return what a node's process tells of itself to those who run it."""
        with urlopen(self._metrics[self._hosts[key]]) as answer:
            return bytes(answer.read())

    def at_rest_with(self, key: bytes) -> dict[str, bytes]:
        """Return what lies on a node's own disk: its log and its folder."""
        files = _files(self.home / "nodes" / self._names[key])
        return {"its log": self.log_of(key)} | {f"its file {name}": data for name, data in files.items()}

    def files(self) -> View:
        """Return everything that the network writes: log, stores, keys and logs, those of the command itself, too."""
        return _files(self.home) | {"the command's log": self.home.with_name(f"{self.home.name}.log").read_bytes()}

    def name_of(self, key: bytes) -> str:
        """Return a node's name in the plan, for messages."""
        return str(self._names[key])

    def _tape(self, key: bytes) -> Path:
        return self._tapes / f"{self._hosts[key].removeprefix('nodes-')}.tape"


def _files(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder; sockets and what vanishes meanwhile are passed over."""
    found = {}
    for path in sorted(folder.rglob("*")):
        try:
            if path.is_file():
                found[str(path.relative_to(folder))] = path.read_bytes()
        except FileNotFoundError:
            continue
    return found
