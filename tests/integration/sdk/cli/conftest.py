"""The command line on a network in memory."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from naisho.cli.main import run
from naisho.network.transport import NodeTransport
from naisho.protocol import network_file
from naisho.testing import FakeNetwork
from tests.integration.sdk.cli.calling import Naisho


@pytest.fixture
def naisho(
    network: FakeNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Naisho:
    """Return a function that runs a command and returns its exit code, standard output and standard error."""
    sockets = NodeTransport.open.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(
        NodeTransport,
        "open",
        classmethod(lambda cls, *, proxy, **_: sockets(cls, proxy=proxy, transport=network)),
    )
    folder = tmp_path / "data" / "networks" / "local"
    folder.mkdir(parents=True)
    (folder / "network.json").write_text(network_file.render(network.file))
    environment = {"NAISHO_DATA_DIR": str(tmp_path / "data"), "LANG": "en_US.UTF-8"}

    def call(*arguments: str, stdin: str = "", **more: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = run(list(arguments), {**environment, **more})
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def accounts(naisho: Naisho) -> dict[str, str]:
    """Make two accounts and return their ids by profile."""
    ids = {}
    for profile in ("alice", "bob"):
        code, out, _ = naisho("account", "new", "--lock", "file", "--profile", profile, "--name", profile, "--json")
        assert code == 0
        ids[profile] = json.loads(out)["account_id"]
    return ids
