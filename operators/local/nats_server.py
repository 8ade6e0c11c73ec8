"""A real nats-server as a child of this process: start, stop, and the accidents that tests need."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from operators.local.children import die_with_parent
from operators.local.errors import StartFailed
from operators.local.nats_config import NatsConfig, render

_HOST: Final = "127.0.0.1"
_READY_WITHIN_S: Final = 20.0
_STOP_WITHIN_S: Final = 10.0
_POLL_S: Final = 0.01
_TAIL_LINES: Final = 12
#: Below the range that systems hand out to outgoing connections: a client that tries the port of a stopped server must
#: not be given that very port as its own, and connect to itself.
_PORTS: Final = range(20_000, 32_000)
#: Collect when the heap has grown by half, not by the whole: a quarter less memory for no measurable CPU. No
#: GOMEMLIMIT: it would have to follow the retention, and one below the living heap makes the server collect for ever.
_ENVIRONMENT: Final = {
    "GOGC": "50",
    # The nodes share the machine. Spread over all its cores, the server wakes a thread for nearly every message, which
    # costs more than the message: with half of them a store takes an eighth less CPU on two cores, and less time.
    "GOMAXPROCS": str(max(1, (os.cpu_count() or 1) // 2)),
}


class SyncSettings(NamedTuple):
    """What a running server says about when it writes to the disk."""

    #: Every append is on the disk before it is acknowledged.
    always: bool
    #: Seconds between two syncs if not always.
    interval_s: float


def server_binary() -> Path:
    """Return the ``nats-server`` of the running environment, or the one on the path.

    Raises:
        StartFailed: there is none.
    """
    own = Path(sys.executable).parent / "nats-server"
    found = str(own) if own.is_file() else shutil.which("nats-server")
    if found is None:
        raise StartFailed("nats-server is not installed in this environment; install with: make install")
    return Path(found)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on and no outgoing connection will be given."""
    while True:
        port = random.choice(_PORTS)  # noqa: S311 - no secret
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((_HOST, port))
            return port


def check_config(path: Path) -> None:
    """Have nats-server itself check a configuration file.

    Raises:
        StartFailed: it is refused; the message says why.
    """
    checked = subprocess.run(  # noqa: S603 - our own binary and file
        [server_binary(), "-t", "-c", path], capture_output=True, text=True, check=False, timeout=_READY_WITHIN_S
    )
    if checked.returncode:
        raise StartFailed(f"nats-server refuses its configuration: {checked.stderr.strip()}")


class NatsServer:
    """One nats-server with its folder; the same store and port over restarts.

    Args:
        directory: holds configuration, log and (unless the configuration says otherwise) the store.
        config: what to render; its port and monitoring port must be free.
    """

    def __init__(self, directory: Path, config: NatsConfig) -> None:
        self.directory = directory
        self.config = config
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def plain(cls, directory: Path, *, max_store_bytes: int = 1 << 40) -> Self:
        """Return a server on free ports, without users and with status pages; for tests."""
        return cls(
            directory,
            NatsConfig(
                server_name="test",
                port=free_port(),
                monitor_port=free_port(),
                store=directory / "store",
                log=directory / "nats.log",
                max_store_bytes=max_store_bytes,
            ),
        )

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://{_HOST}:{self.config.port}"

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self._process is None:
            raise StartFailed("nats-server is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def write_config(self) -> Path:
        """Write the configuration file, checked, readable by its owner alone, in one step; return its path."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path, fresh = self.directory / "nats.json", self.directory / "nats.json.new"
        fresh.touch(mode=0o600)
        fresh.write_text(render(self.config), encoding="utf-8")
        check_config(fresh)
        fresh.replace(path)
        return path

    def launch(self) -> None:
        """Start the process without waiting for it. It dies with the thread that calls this, on Linux."""
        path = self.write_config()
        for stale in self.directory.glob("*.ports"):
            stale.unlink()
        self._process = subprocess.Popen(  # noqa: S603 - our own binary and file
            [server_binary(), "-c", path, "--ports_file_dir", self.directory],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **_ENVIRONMENT},
            start_new_session=True,
            preexec_fn=die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - two C calls, no lock
        )

    def ready(self) -> bool:
        """Tell whether clients are let in.

        Raises:
            StartFailed: the server ended; the message ends with the tail of its log.
        """
        if not self.running:
            self.kill()
            raise StartFailed(f"nats-server ended before it was ready{self._tail()}")
        return any(self.directory.glob(f"*_{self.pid}.ports"))  # written once it listens

    def start(self) -> None:
        """Start and wait until clients are let in.

        Raises:
            StartFailed: it ended or was not ready in time.
        """
        self.launch()
        give_up = time.monotonic() + _READY_WITHIN_S
        while not self.ready():
            self._check_time(give_up)
            time.sleep(_POLL_S)

    async def start_async(self) -> None:
        """Start as ``start`` does, without blocking the event loop."""
        self.launch()
        give_up = time.monotonic() + _READY_WITHIN_S
        while not self.ready():
            self._check_time(give_up)
            await asyncio.sleep(_POLL_S)

    def _check_time(self, give_up: float) -> None:
        if time.monotonic() > give_up:
            self.kill()
            raise StartFailed(f"nats-server was not ready within {_READY_WITHIN_S:.0f} s{self._tail()}")

    def stop(self) -> None:
        """End it in order, within a bound; by force after that."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGCONT)
                self._process.terminate()
            try:
                self._process.wait(_STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def kill(self) -> None:
        """End it as ``kill -9`` does; also takes note of one that ended by itself."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Freeze it: it holds its connections and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after ``pause``."""
        os.kill(self.pid, signal.SIGCONT)

    def reconfigure(self, config: NatsConfig) -> None:
        """Take another configuration; a running server reads it without ending.

        Raises:
            StartFailed: nats-server refuses it; the old one stays in force.
        """
        before, self.config = self.config, replace(config)
        try:
            self.write_config()
        except StartFailed:
            self.config = before
            raise
        if self.running:
            os.kill(self.pid, signal.SIGHUP)

    def copy_store(self, target: Path) -> None:
        """Copy the streams of a stopped server, as a backup would."""
        shutil.copytree(self.config.store, target)

    def replace_store(self, source: Path) -> None:
        """Put a copy in place of a stopped server's streams."""
        shutil.rmtree(self.config.store)
        shutil.copytree(source, self.config.store)

    def reported_sync_settings(self) -> SyncSettings:
        """Ask the running server when it writes to the disk; needs the status pages."""
        reported = self.status("varz")["jetstream"]["config"]
        return SyncSettings(bool(reported.get("sync_always")), reported.get("sync_interval", 0) / 1e9)

    def status(self, page: str) -> dict[str, Any]:
        """Return one of the server's status pages (``varz``, ``connz``, ``jsz``)."""
        url = f"http://{_HOST}:{self.config.monitor_port}/{page}"
        with urllib.request.urlopen(url, timeout=_READY_WITHIN_S) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def _tail(self) -> str:
        with contextlib.suppress(OSError):
            lines = self.config.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
            return "\nThe end of its log:\n  " + "\n  ".join(lines)
        return ""
