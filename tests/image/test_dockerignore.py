"""What goes to the builder: all that is copied, and nothing that is secret, large or generated."""

from __future__ import annotations

import re

import pytest

from tests.image.dockerfile import ROOT, ours

RULES = [
    line
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


def _matches(pattern: str, path: str) -> bool:
    # Of the whole path or of a folder that it lies in; `**` stands for any folders, `*` for one name.
    parts = [".*" if part == "**" else re.escape(part).replace(r"\*", "[^/]*") for part in pattern.split("/")]
    return re.fullmatch("/".join(parts).replace(".*/", "(.*/)?") + "(/.*)?", path) is not None


def ignored(path: str, rules: list[str] = RULES) -> bool:
    """Tell whether the builder does not see a path: the last rule that matches decides."""
    result = False
    for rule in rules:
        if _matches(rule.removeprefix("!"), path):
            result = not rule.startswith("!")
    return result


def test_the_matcher_knows_the_rules() -> None:
    assert _matches("**/__pycache__", "a/b/__pycache__/c.pyc")
    assert _matches("**/*.pyc", "c.pyc")
    assert _matches("services/*/events", "services/swarm/events/v1/x_pb2.py")
    assert not _matches("services/*/events", "protos/services/swarm/events/v1/x.proto")
    assert not _matches("services/*/events", "services/a/b/events")
    assert ignored("a/key", ["*", "!a", "a/key"])
    assert not ignored("a/b", ["*", "!a", "a/key"])


def test_all_that_is_copied_is_sent() -> None:
    copied = [word.rstrip("/") for copy in ours()[0].all("COPY") for word in copy.words[:-1]]
    assert len(copied) > 5
    for path in copied:
        assert (ROOT / path).exists(), path
        assert not ignored(path), path


@pytest.mark.parametrize(
    "path",
    ["protos/services/swarm/events/v1/events.proto", "services/swarm/__main__.py", "tests/cluster/environment.py"],
)
def test_what_is_built_from_is_sent(path: str) -> None:
    assert (ROOT / path).is_file()
    assert not ignored(path)


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".venv/bin/python",
        ".env",
        "node.key",
        "requirements/inputs.py",
        "tests/conftest.py",
        "tests/image/dockerfile.py",
        "tests/cluster/lab.py",
        "docs/adr/0001.md",
        "services/swarm/__pycache__/x.cpython-311.pyc",
        "services/swarm/events/v1/events_pb2.py",
        "operators/membership/events/v1/events_pb2.py",
        "services/client/src/naisho/wire/node/v1/node_pb2.py",
        "services/client/naisho.egg-info/PKG-INFO",
        "dist/naisho-0.1.0.tar.gz",
    ],
)
def test_what_is_secret_or_generated_or_of_no_use_is_not_sent(path: str) -> None:
    assert ignored(path)
