"""Run a command on a copy of the code that can be written to, and again whenever the copy was changed.

The Tiltfile puts this text before the command of a container (``python -c TEXT COMMAND...``). The image's own folder
of packages is read-only, and a container that ends begins with the image's files again: so the code is copied into a
volume first, and this program stays while what it runs comes and goes.
"""
# ruff: noqa: INP001 - a script, no package

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
from pathlib import Path

PACKAGES = ("naisho", "services", "operators")
#: How often it is looked whether the copy was changed.
LOOK_S = 0.2
#: How long what ended by itself is left alone, unless something is changed before.
PAUSE_S = 5.0
#: How long the command may take to end.
PATIENCE_S = 20.0


def main(live: Path, packages: Path, command: list[str]) -> int:
    """Run the command until told to end; return its exit code."""
    for name in PACKAGES:
        # Bytecode of the image is believed without a look at the source, which is what changes here.
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(packages / name, live / name, ignore=ignored, dirs_exist_ok=True)
    changed = live / "changed"
    changed.touch()
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    while True:
        seen = changed.stat().st_mtime_ns
        environment = {**os.environ, "PYTHONPATH": str(live)}
        with subprocess.Popen(command, env=environment) as running:  # noqa: S603 - the container's own
            while running.poll() is None and not ending.wait(LOOK_S) and changed.stat().st_mtime_ns == seen:
                pass
            code = _end(running)
        waits = int(PAUSE_S / LOOK_S)
        while waits and not ending.is_set() and changed.stat().st_mtime_ns == seen:
            ending.wait(LOOK_S)
            waits -= 1
        if ending.is_set():
            return code


def _end(running: subprocess.Popen[bytes]) -> int:
    if running.poll() is None:
        running.terminate()
    try:
        return running.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        running.kill()
        return running.wait()


if __name__ == "__main__":
    sys.exit(main(Path(os.environ.get("NAISHO_LIVE", "/live")), Path(sysconfig.get_path("purelib")), sys.argv[1:]))
