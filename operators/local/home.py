"""The data directory of a local network.

<home>/
├── plan.json            what the network consists of, ports included
├── network.json         the network file: all that a client needs to join
├── running.json         who runs it now (only while it runs)
├── lock                 held while it runs
├── secrets/             the operator's keys: root, signing, mailbox, NATS users, one file each
├── custodian/           what is still to be erased from the log
├── nats/                nats-server's configuration, log and store
└── nodes/node-00/ …     each node's key, certificate, mailbox store and socket
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from operators.local import plan as plans
from operators.local.errors import AlreadyRunning, BrokenHome, NotRunning

MARK = "plan.json"


@dataclass(frozen=True, slots=True)
class Running:
    """Who runs the network, and where its parts answer."""

    pid: int
    started_ms: int
    #: Process ids by part name: "nats", "nodes-0", ...
    processes: dict[str, int]
    #: URL of a seed's plain-HTTP address.
    seed: str


class NetworkHome:
    """One data directory."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def network_file(self) -> Path:
        """All that a client needs to join."""
        return self.root / "network.json"

    @property
    def secrets(self) -> Path:
        """Keys, readable by their owner alone."""
        return self.root / "secrets"

    @property
    def membership_keys(self) -> Path:
        """Root, signing and mailbox keys (``operators.membership.keys``)."""
        return self.secrets / "membership"

    @property
    def nats(self) -> Path:
        """The event log's server."""
        return self.root / "nats"

    @property
    def custodian(self) -> Path:
        """The custodian's ledger."""
        return self.root / "custodian"

    @property
    def custodian_key(self) -> Path:
        """The custodian's NATS key."""
        return self.secrets / "custodian-nats.key"

    def node(self, node: plans.NodePlan) -> Path:
        """Return one node's folder."""
        return self.root / "nodes" / node.name

    @property
    def own_pid(self) -> int:
        """This process, as the directory records it."""
        return os.getpid()

    def exists(self) -> bool:
        """Tell whether a network was planned here before."""
        return (self.root / MARK).is_file()

    def create(self) -> None:
        """Make the directory, private to its owner."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in (self.secrets, self.nats, self.root / "nodes"):
            folder.mkdir(exist_ok=True, mode=0o700)

    def empty(self) -> None:
        """Remove everything below the directory, but only if it is a network's or holds nothing.

        Raises:
            BrokenHome: the directory holds other people's files.
        """
        if not self.root.exists():
            return
        known = {
            "plan.json",
            "network.json",
            "running.json",
            "lock",
            "secrets",
            "custodian",
            "nats",
            "nodes",
            "directory",
        }
        strangers = sorted(entry.name for entry in self.root.iterdir() if entry.name not in known)
        if strangers:
            raise BrokenHome(
                f"{self.root} holds files that are not a network's ({', '.join(strangers[:3])}); "
                "nothing was removed. Choose another directory with --home"
            )
        for entry in self.root.iterdir():
            if entry.name == "lock":
                continue
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def read_plan(self) -> plans.NetworkPlan:
        """Return the recorded plan."""
        return plans.parse((self.root / MARK).read_text(encoding="utf-8"))

    def write_plan(self, plan: plans.NetworkPlan) -> None:
        """Record a plan."""
        write_private(self.root / MARK, plans.render(plan).encode())

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory for one running network.

        Raises:
            AlreadyRunning: another process holds it.
        """
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.root / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise AlreadyRunning(
                    f"a network already runs from {self.root}; look at it with: naisho network status"
                ) from error
            yield

    def write_running(self, running: Running) -> None:
        """Record who runs the network."""
        write_private(self.root / "running.json", json.dumps(asdict(running), indent=2).encode())

    def clear_running(self) -> None:
        """Nobody runs it any more."""
        (self.root / "running.json").unlink(missing_ok=True)

    def read_running(self) -> Running:
        """Return who runs the network.

        Raises:
            NotRunning: nobody does, or its process is gone.
        """
        with contextlib.suppress(OSError, ValueError, TypeError):
            running = Running(**json.loads((self.root / "running.json").read_text(encoding="utf-8")))
            os.kill(running.pid, 0)
            return running
        raise NotRunning(f"no network runs from {self.root}; start one with: naisho network up")


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    draft = path.with_suffix(path.suffix + ".new")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123 - a mode at creation
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
