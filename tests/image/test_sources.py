"""What is built from: all that people wrote, and nothing that a build wrote beside it."""

from __future__ import annotations

from pathlib import Path

from tests.cluster.environment import SOURCES, copy_sources

WRITTEN = [
    "protos/services/swarm/events/v1/events.proto",
    "services/swarm/domain/events/kinds.py",
    "services/client/src/naisho/wires.py",
    "operators/membership/__main__.py",
]
GENERATED = [
    "services/swarm/events/v1/events_pb2.py",
    "operators/membership/events/__init__.py",
    "services/client/src/naisho/wire/node/v1/node_pb2.py",
    "services/swarm/__pycache__/x.cpython-311.pyc",
    "services/client/src/naisho.egg-info/PKG-INFO",
]
ELSEWHERE = ["node.key", ".git/config", "tests/conftest.py"]


def test_what_was_written_is_copied_and_what_was_generated_is_not(tmp_path: Path) -> None:
    tree, copy = tmp_path / "tree", tmp_path / "copy"
    files = [name for name in SOURCES if name not in {"protos", "services", "operators"}]
    for name in (*files, *WRITTEN, *GENERATED, *ELSEWHERE):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(name)
    copy_sources(tree, copy)
    found = {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()}
    assert found == {*files, *WRITTEN}
