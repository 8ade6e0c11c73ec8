"""Take from the hashed lock only what one purpose needs: ``python -m tests.cluster.lock run|build``.

The lock names with each package those that want it ("via"), so the closure of a few roots can be taken without a
resolver, without an environment and without a network. Markers and hashes are kept as they are. The standard library
alone, since the build stage of the image calls this before anything is installed.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]
LOCK: Final = "requirements/lock.txt"
#: The SDK's, and that of the services and operators.
PROJECTS: Final = ("services/client/pyproject.toml", "pyproject.toml")
#: Named by the metadata of hdrhistogram, which needs them to be built and imports neither.
BUILD_TOOLS: Final = frozenset({"pbr", "setuptools"})

_START: Final = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^\s;\\]+)")
_VIA: Final = re.compile(r"^\s+#(?:\s+via)?\s+(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?\s*$")


class Entry(NamedTuple):
    """One package of a lock."""

    name: str
    version: str
    #: The names of the packages that want it, without those of the project itself.
    wanted_by: frozenset[str]
    #: The entry as it is written, hashes and marker included, with its line end.
    text: str


def normal(name: str) -> str:
    """Return a distribution's name as indexes compare it: ``Foo_Bar`` is ``foo-bar``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def entries(lock: str) -> list[Entry]:
    """Read a lock as ``uv pip compile --generate-hashes`` writes it.

    Raises:
        ValueError: a line at the margin pins nothing, or an entry has no hash.
    """
    blocks: list[list[str]] = []
    for line in lock.splitlines():
        if line and not line[0].isspace() and not line.startswith("#"):
            blocks.append([line])
        elif blocks and line.strip():
            blocks[-1].append(line)
    found = []
    for block in blocks:
        start = _START.match(block[0])
        if start is None:
            raise ValueError(f"pins no version: {block[0]!r}")
        if not any("--hash=" in line for line in block):
            raise ValueError(f"has no hash: {block[0]!r}")
        parents = (match["name"] for line in block if (match := _VIA.match(line)) and match["name"] != "via")
        wanted_by = frozenset(normal(parent) for parent in parents)
        found.append(Entry(normal(start["name"]), start["version"], wanted_by, "\n".join(block) + "\n"))
    return found


def closure(lock: str, roots: Collection[str], *, without: Collection[str] = ()) -> list[Entry]:
    """Return the entries that the roots want, themselves included, in the order of the lock.

    Args:
        lock: the text of the whole lock.
        roots: names of distributions, in any spelling.
        without: names to leave out, with whatever only they want.

    Raises:
        ValueError: a root is not in the lock.
    """
    known = {entry.name: entry for entry in entries(lock)}
    left_out = {normal(name) for name in without}
    reached = {normal(root) for root in roots} - left_out
    if missing := reached - known.keys():
        raise ValueError(f"not in the lock: {', '.join(sorted(missing))}")
    while more := {
        entry.name
        for entry in known.values()
        if entry.name not in reached and entry.name not in left_out and entry.wanted_by & reached
    }:
        reached |= more
    return [entry for entry in known.values() if entry.name in reached]


def wanted_to(purpose: str, tree: Path = ROOT) -> list[str]:
    """Return the names that our distributions want to ``run`` or to ``build``, without each other."""
    projects = [tomllib.loads((tree / path).read_text(encoding="utf-8")) for path in PROJECTS]
    own = {normal(project["project"]["name"]) for project in projects}
    wanted = [
        requirement
        for project in projects
        for requirement in (
            project["project"]["dependencies"] if purpose == "run" else project["build-system"]["requires"]
        )
    ]
    names = {normal(re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]) for requirement in wanted}
    return sorted(names - own)


def subset(purpose: str, tree: Path = ROOT) -> list[Entry]:
    """Return what of a checkout's lock is needed to ``run`` it or to ``build`` it.

    Raises:
        ValueError: the lock is not one, or lacks something.
    """
    without = BUILD_TOOLS if purpose == "run" else ()
    return closure((tree / LOCK).read_text(encoding="utf-8"), wanted_to(purpose, tree), without=without)


if __name__ == "__main__":
    if sys.argv[1:] not in (["run"], ["build"]):
        sys.exit("usage: python -m tests.cluster.lock run|build")
    sys.stdout.writelines(entry.text for entry in subset(sys.argv[1]))
