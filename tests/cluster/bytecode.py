"""Bytecode beside the sources, since a read-only file system cannot keep what a first start would compile."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

_WITHIN_S: Final = 300.0


def compile_folder(root: Path, folder: Path) -> None:
    """Compile every module under a folder, the same way every time.

    One process, in the order of names and with a fixed hash seed, so that nothing that a compiler may remember or order
    differs. Unchecked: the image's files have no times to compare, and nothing in it changes.

    Args:
        root: what will be ``/``; tracebacks name paths from there.
        folder: the folder to compile, within it.

    Raises:
        subprocess.CalledProcessError: a module cannot be compiled.
    """
    subprocess.run(
        [
            *(sys.executable, "-P", "-m", "compileall", "-q", "-j", "1"),
            *("--invalidation-mode", "unchecked-hash", "-s", str(root), "-p", "/", str(folder)),
        ],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        check=True,
        timeout=_WITHIN_S,
    )
