"""One network, started by the command that users type, in a directory of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from naisho.protocol import network_file
from naisho.protocol.directory.model import Directory
from naisho.protocol.network_file import NetworkFile
from operators.local.status import fetch_directory

NAISHO = str(Path(sys.executable).parent / "naisho")
START_WITHIN_S = 45
STOP_WITHIN_S = 20


class RunningNetwork:
    """A network behind its own ``naisho network up`` process.

    Attributes:
        home: its data directory; start another with the same one to go on with its data.
        status: what ``naisho network status --json`` says, as of the start.
    """

    #: The command; a child may put another in its place that does more.
    program: Sequence[str] = (NAISHO,)

    def __init__(
        self,
        home: Path,
        *options: str,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home
        self._options: Sequence[str] = options
        self._settings = settings or {}
        self._environment = environment or {}
        self._process: subprocess.Popen[str] | None = None
        self.status: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop()

    def start(self) -> None:
        """Start, and wait until every node is active."""
        self.home.mkdir(parents=True, exist_ok=True)
        errors = self.home.parent / f"{self.home.name}.log"
        arguments = [*self.program, "--json", "network", "up", "--home", str(self.home), *self._options]
        for service, settings in self._settings.items():
            for name, value in settings.items():
                arguments += ["--set", f"{service}.{name}={value}"]
        with errors.open("a") as log:
            self._process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **self._environment},
                text=True,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        status = json.loads(line) if line else {"error": "no status"}
        if "error" in status:
            self._process.communicate(timeout=STOP_WITHIN_S)
            raise RuntimeError(f"the network did not start: {status['error']}\n" + errors.read_text()[-4000:])
        self.status = status

    def stop(self) -> None:
        """Press Ctrl-C and wait for the end."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.communicate(timeout=STOP_WITHIN_S)
        if self._process.returncode != 0:
            raise RuntimeError(f"the network ended with status {self._process.returncode}")

    def kill(self) -> None:
        """Kill -9 every process at once, as a power cut would; none gets to say goodbye, or to start another again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        pids = self.pids
        for pid in reversed(pids.values()):
            with contextlib.suppress(ProcessLookupError):  # ended by itself, and was to be started again
                os.kill(pid, signal.SIGKILL)
        self._process.communicate(timeout=STOP_WITHIN_S)
        for pid in pids.values():
            wait_until_gone(pid)

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by name (``network``, ``nats``, ``nodes-0``, ...), as of now: who ended has another soon."""
        running = json.loads((self.home / "running.json").read_text())
        return {"network": running["pid"], **running["processes"]}

    @property
    def seed(self) -> str:
        """The plain-HTTP seed URL."""
        return str(self.status["seed"])

    @property
    def network(self) -> NetworkFile:
        """The network file."""
        return network_file.parse(self.network_file.read_text())

    @property
    def network_file(self) -> Path:
        """Where the network file lies."""
        return Path(self.status["network_file"])

    def directory(self) -> Directory:
        """Return the directory that a seed hands out now, verified."""
        return fetch_directory(self.seed, self.network)


def wait_until_gone(pid: int) -> None:
    """Wait until a killed process is no more, or only waits for its parent to take note.

    Raises:
        TimeoutError: it goes on.
    """
    give_up = time.monotonic() + STOP_WITHIN_S
    while time.monotonic() < give_up:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return
        if state in "ZX":
            return
        time.sleep(0.005)
    raise TimeoutError(f"process {pid} does not end")
