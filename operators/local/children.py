"""Child processes: started, told apart by name, ended within a bound, and never left behind."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

PR_SET_PDEATHSIG: Final = 1
STOP_WITHIN_S: Final = 8.0
_TAIL_LINES: Final = 12


def die_with_parent() -> None:
    """Have this process end when the one that started it does; for the moment between fork and exec.

    Where the system has no such call, a killed parent's children stay behind; everything else works.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


class Child:
    """One child process of the running network."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self._process = process
        self._log = log

    @classmethod
    async def start(
        cls, name: str, arguments: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None
    ) -> Child:
        """Start a program in a process group of its own, so that Ctrl-C reaches only us."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
                preexec_fn=die_with_parent if sys.platform == "linux" else None,
            )
        return cls(name, process, log)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    async def ended(self) -> int:
        """Wait until the child ends by itself; its exit status."""
        return await self._process.wait()

    @property
    def alive(self) -> bool:
        """Whether the child has not ended."""
        return self._process.returncode is None

    def terminate(self) -> None:
        """Ask the child to drain and stop."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    async def stop(self, within_s: float = STOP_WITHIN_S) -> bool:
        """End the child: SIGTERM, then SIGKILL after the bound. True if it went by itself."""
        self.terminate()
        try:
            async with asyncio.timeout(within_s):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            return False
        return True

    def tail(self) -> str:
        """Return the end of the child's log, ready to stand behind a message; empty if there is none."""
        with contextlib.suppress(OSError):
            lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
            if lines:
                return f"\nThe end of {self._log}:\n  " + "\n  ".join(lines)
        return ""
