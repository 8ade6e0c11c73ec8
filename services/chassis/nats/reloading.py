"""A log server that reads its files again when they change: ``python -m services.chassis.nats.reloading``.

A server of the log reads certificates and accounts when it starts, and on SIGHUP. In a pod they change under its hands:
cert-manager renews the one, the operator raises the limits of the other. This process starts the server as its child,
hands signals on to it, ends with it, and sends it SIGHUP while the files are newer than what it runs by. That is
compared with the server's own word (``config_load_time`` of ``/varz``), so nothing is forgotten by a restart, and a
reload that the server refused is seen, told and tried again.

Nothing but the standard library: it is in memory as long as the server is.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterable, Sequence
from datetime import datetime
from http.client import HTTPException
from pathlib import Path
from typing import Final

from services.chassis import logs

log = logging.getLogger("services.chassis.nats.reloading")

#: A server reads its files a moment before the time that it tells.
MARGIN_S: Final = 1.0
#: A reload takes less; after one that was in vain the pause doubles.
_PAUSE_S: Final = 2.0
_LONGEST_PAUSE_S: Final = 300.0
_ANSWER_WITHIN_S: Final = 3.0
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def changed_at(folders: Iterable[Path]) -> float:
    """Return when the newest of all files was written, seconds since 1970; 0 if there is none.

    A mounted Secret is a folder of links to its newest version, whose files are as old as that.

    Raises:
        OSError: a folder or file cannot be read, or has gone meanwhile.
    """
    found = 0.0
    for folder in folders:
        for path in folder.iterdir():
            if path.is_file():
                found = max(found, path.stat().st_mtime)
    return found


def loaded_at(monitor: str) -> float | None:
    """Return when a server read its files, seconds since 1970; ``None`` while it does not answer.

    Args:
        monitor: address of its monitoring port, such as ``http://127.0.0.1:8222``.
    """
    try:
        with urllib.request.urlopen(f"{monitor}/varz", timeout=_ANSWER_WITHIN_S) as answer:  # noqa: S310 - from our own arguments
            return datetime.fromisoformat(json.load(answer)["config_load_time"]).timestamp()
    except (OSError, HTTPException, ValueError, KeyError):
        return None


class Reloading:
    """Has a server reload when that is due.

    Args:
        server: the running process.
        monitor: address of its monitoring port.
        folders: of all files that it reads.
    """

    def __init__(self, server: subprocess.Popen[bytes], monitor: str, folders: Sequence[Path]) -> None:
        self._server = server
        self._monitor = monitor
        self._folders = folders
        #: When what was asked for last, and how long the next try waits if that was in vain.
        self._asked = 0.0
        self._pause_s = 0.0
        self._loaded: float | None = None

    def look(self) -> bool:
        """Look once; return whether the server was asked to reload."""
        loaded = loaded_at(self._monitor)
        if loaded is None:
            return False  # it starts, and reads everything, or it ends
        if self._asked and loaded != self._loaded:
            log.info("the server runs by its newest files")
            self._asked = self._pause_s = 0.0
        self._loaded = loaded
        try:
            changed = changed_at(self._folders)
        except OSError as error:
            # A file may go while it is looked at; whatever it is, the server must not end for it.
            log.warning("the server's files cannot be looked at now: %s", error.strerror)
            return False
        if changed <= loaded - MARGIN_S or time.monotonic() < self._asked + self._pause_s:
            return False
        if self._asked:
            log.warning("the server has not taken its newest files, its own log says why; it is asked again")
        self._asked = time.monotonic()
        self._pause_s = min(max(2 * self._pause_s, _PAUSE_S), _LONGEST_PAUSE_S)
        self._server.send_signal(signal.SIGHUP)
        return True


def run(command: Sequence[str], monitor: str, folders: Sequence[Path], *, every_s: float) -> int:
    """Run a server until it ends; return its exit code, or 128 and the number of the signal that ended it."""
    server = subprocess.Popen(command)  # noqa: S603 - that is what it is for
    for number in _SIGNALS:
        signal.signal(number, lambda heard, _frame: server.send_signal(heard))
    ended = threading.Event()

    def wait() -> None:
        server.wait()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    reloading = Reloading(server, monitor, folders)
    while not ended.wait(every_s):
        reloading.look()
    return server.returncode if server.returncode >= 0 else 128 - server.returncode


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m services.chassis.nats.reloading", description=__doc__)
    parser.add_argument("--monitor", required=True, metavar="URL", help="of the server's monitoring port")
    parser.add_argument("--watch", type=Path, action="append", required=True, metavar="FOLDER", help="of its files")
    parser.add_argument("--every", type=float, default=5.0, metavar="SECONDS", help="how often they are looked at")
    parser.add_argument("command", nargs="+", help="the server, after --")
    arguments = parser.parse_args()
    logs.configure()
    return run(arguments.command, arguments.monitor, arguments.watch, every_s=arguments.every)


if __name__ == "__main__":
    sys.exit(main())
