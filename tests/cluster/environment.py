"""The Python environment of the image: what the lock names in one layer, our own distributions in another.

The Dockerfile runs this very module (``python -m tests.cluster.environment dependencies|code ROOT``), so that both
ways to an image give the same files.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from tests.cluster.bytecode import compile_folder
from tests.cluster.lock import ROOT, Entry, subset
from tests.cluster.recipe import PREFIX, PROGRAMS, PYTHON, surplus

SITE_PACKAGES: Final = f"{PREFIX}/lib/python3.11/site-packages"
#: What the distributions are built from, relative to the tree.
SOURCES: Final = (
    *("pyproject.toml", "README.md", "LICENSE", ".gitignore", "build_protos.py", "hatch_protos.py"),
    *("protos", "services", "operators"),
)
_PIP_WITHIN_S: Final = 600.0


def make_environment(root: Path) -> None:
    """Make what ``python -m venv --without-pip`` makes, as far as a container needs it, for the image's own Python."""
    programs = root / PREFIX.lstrip("/") / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    (root / SITE_PACKAGES.lstrip("/")).mkdir(parents=True, exist_ok=True)
    for name, target in (("python", PYTHON), ("python3", "python"), ("python3.11", "python")):
        (programs / name).symlink_to(target)
    settings = "home = /usr/bin\ninclude-system-site-packages = false\n"
    (programs.parent / "pyvenv.cfg").write_text(settings, encoding="utf-8")


def install_locked(entries: Iterable[Entry], root: Path, work: Path) -> None:
    """Install what the lock names, by hash, into the image's environment.

    Args:
        entries: all packages; nothing is resolved, and nothing else is installed.
        root: what will be ``/``.
        work: an empty folder for what is only needed meanwhile.

    Raises:
        subprocess.CalledProcessError: pip could not; its own message has gone to standard error.
    """
    make_environment(root)
    requirements = work / "requirements.txt"
    requirements.write_text("".join(entry.text for entry in entries), encoding="utf-8")
    # What comes as source alone is built by the lock's own setuptools, not by one that is fetched for it unseen.
    built_here = ("--use-pep517", "--no-build-isolation")
    _pip_install(root, "--require-hashes", *built_here, "-r", str(requirements))
    finish(root)


def install_wheels(wheels: Sequence[Path], root: Path) -> None:
    """Install our own distributions, and nothing that they depend on.

    Raises:
        subprocess.CalledProcessError: pip could not; its own message has gone to standard error.
    """
    _pip_install(root, "--no-index", *map(str, wheels))
    finish(root)


def _pip_install(root: Path, *what: str) -> None:
    target = root / PREFIX.lstrip("/")
    options = ("--no-deps", "--no-compile", "--ignore-installed", "--no-warn-script-location")
    _pip("install", "--root-user-action=ignore", *options, "--prefix", str(target), *what)


def build_wheels(work: Path, tree: Path) -> list[Path]:
    """Build both distributions from a copy of the tree: the build writes generated code beside its sources.

    Args:
        work: an empty folder.
        tree: a checkout.

    Returns:
        Two wheels.

    Raises:
        subprocess.CalledProcessError: a distribution cannot be built; the reason has gone to standard error.
    """
    copy = work / "tree"
    copy_sources(tree, copy)
    wheels = work / "wheels"
    for project in (copy / "services" / "client", copy):
        _pip("wheel", "--no-deps", "--no-build-isolation", "--no-cache-dir", "-w", str(wheels), str(project))
    return sorted(wheels.glob("*.whl"))


def copy_sources(tree: Path, copy: Path) -> None:
    """Copy what the distributions are built from, without anything that was generated."""
    copy.mkdir(parents=True)
    for name in SOURCES:
        if (tree / name).is_dir():
            shutil.copytree(tree / name, copy / name, ignore=None if name == "protos" else _generated)
        else:
            shutil.copy2(tree / name, copy / name)


def _generated(folder: str, names: list[str]) -> set[str]:
    place = Path(folder)
    found = {name for name in names if name == "__pycache__" or name.endswith((".pyc", ".egg-info"))}
    if place.parent.name in {"services", "operators"}:
        found |= {"events"} & set(names)
    if place.name == "naisho" and place.parent.name == "src":
        found |= {"wire"} & set(names)
    return found


def _pip(*arguments: str) -> None:
    # Errors alone: an index that lacks a package is worth no line while another has it.
    pip = (sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check")
    subprocess.run(
        [*pip, *arguments],
        check=True,
        timeout=_PIP_WITHIN_S,
        # Plugins of protoc are looked up on the path; the build must not depend on the moment.
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "SOURCE_DATE_EPOCH": "315532800",
        },
    )


def finish(root: Path) -> None:
    """Leave in an environment what a running program needs: no tests, no stubs, own programs; and compile the rest."""
    modules = root / SITE_PACKAGES.lstrip("/")
    for path in sorted(modules.rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif surplus(path.relative_to(modules).as_posix()):
            path.unlink()
    programs = root / PREFIX.lstrip("/") / "bin"
    for path in sorted(programs.iterdir()) if programs.is_dir() else ():
        if path.name not in PROGRAMS:
            path.unlink()
        elif not path.is_symlink():
            path.write_bytes(with_interpreter(path.read_bytes()))
    for path in sorted((root / PREFIX.lstrip("/")).iterdir()):
        if path.name not in {"bin", "lib", "pyvenv.cfg"}:  # manual pages, headers
            shutil.rmtree(path)
    compile_folder(root, modules)


def with_interpreter(program: bytes) -> bytes:
    """Return a program as it is, but a Python script with the image's interpreter in its first line."""
    first, line_end, rest = program.partition(b"\n")
    if not first.startswith(b"#!") or b"python" not in first:
        return program
    return f"#!{PREFIX}/bin/python".encode() + line_end + rest


def main() -> None:
    """Fill one of the two layers from the tree that this module lies in."""
    what, root = sys.argv[1:] if len(sys.argv) == 3 else ("", "")
    with tempfile.TemporaryDirectory() as work:
        if what == "dependencies":
            install_locked(subset("run"), Path(root), Path(work))
        elif what == "code":
            install_wheels(build_wheels(Path(work), ROOT), Path(root))
        else:
            sys.exit("usage: python -m tests.cluster.environment dependencies|code ROOT")


if __name__ == "__main__":
    main()
