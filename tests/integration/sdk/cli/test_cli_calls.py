"""How the command line is called: options, help, errors, languages, plugins, completion."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from naisho.cli import root
from tests.integration.sdk.cli.calling import Naisho, document


@pytest.mark.usefixtures("accounts")
def test_errors_say_what_why_and_next_in_both_forms_and_languages(naisho: Naisho) -> None:
    code, out, err = naisho("send", "05abc", "x", "--profile", "alice")
    assert (code, out) == (1, "")
    assert err.splitlines()[0].startswith("✗ ")
    assert err.splitlines()[-1].startswith("  → ")
    code, out, err = naisho("send", "05abc", "x", "--profile", "alice", "--lang", "ja")
    assert "アカウントID" in err
    code, out, err = naisho("send", "05abc", "x", "--profile", "alice", "--json")
    assert (code, err) == (1, "")
    error = json.loads(out)["error"]
    assert set(error) == {"code", "remedy", "what", "why", "next"}
    assert (error["code"], error["remedy"]) == ("bad_account_id", "change-input")
    for arguments in (["path"], ["send", "x"], ["account", "show"], ["swarm"], ["listen", "--once"]):
        code, out, err = naisho(*arguments, "--profile", "nobody", "--json")
        assert (code, err) == (1, "")
        assert json.loads(out)["error"]["code"] == "no_account"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["sned"], "send"),
        (["send"], "ACCOUNT-ID"),
        (["send", "--profil", "x"], "--profil"),
        (["listen", "--count", "0"], "1"),
        (["react", "x", "noon", "y"], "TIME-MS"),
        (["completion", "tcsh"], "bash, zsh, fish"),
        (["account", "new", "--lock", "padlock"], "passphrase, keyring, file"),
        (["path", "extra"], "extra"),
    ],
)
def test_a_wrong_call_is_explained(naisho: Naisho, arguments: list[str], expected: str) -> None:
    code, out, err = naisho(*arguments)
    assert (code, out) == (2, "")
    assert expected in err
    assert "--help" in err
    code, out, err = naisho(*arguments, "--json")
    assert (code, err) == (2, "")
    assert json.loads(out)["error"]["code"] == "usage"
    code, out, err = naisho(*arguments, "--lang", "ja")
    assert "使い方" in err


def test_help_speaks_the_users_language(naisho: Naisho) -> None:
    for arguments in ([], ["account"], ["send"], ["contact", "accept"]):
        _, english, _ = naisho(*arguments, "--help")
        _, japanese, _ = naisho(*arguments, "--help", LANG="ja_JP.UTF-8")
        assert "Usage:" in english
        assert "使い方:" in japanese
        assert "オプション:" in japanese
        assert "Show this help" not in japanese
        _, overridden, _ = naisho(*arguments, "--help", "--lang", "en", LANG="ja_JP.UTF-8")
        assert overridden == english


def test_shared_options_may_stand_anywhere(naisho: Naisho, accounts: dict[str, str]) -> None:
    for arguments in (
        ["--json", "--profile", "bob", "account", "show"],
        ["account", "--json", "show", "--profile", "bob"],
        ["account", "show", "--profile", "bob", "--json"],
    ):
        assert document(naisho(*arguments))["account_id"] == accounts["bob"]


@pytest.mark.usefixtures("accounts")
def test_no_network_is_explained(naisho: Naisho, tmp_path: Path) -> None:
    (tmp_path / "data/networks/local/network.json").unlink()
    code, _, err = naisho("path", "--profile", "alice")
    assert code == 1
    assert "naisho network up" in err
    broken = tmp_path / "broken.json"
    broken.write_text("{}")
    code, out, _ = naisho("path", "--profile", "alice", "--network", str(broken), "--json")
    assert json.loads(out)["error"]["code"] == "bad_network_file"
    code, out, _ = naisho("path", "--profile", "alice", "--network", str(tmp_path / "nowhere"), "--json")
    assert json.loads(out)["error"]["code"] == "bad_network_file"


def point(name: str, load: Callable[[], object]) -> importlib.metadata.EntryPoint:
    """Return an entry point whose loading is a function of ours."""

    class Point(importlib.metadata.EntryPoint):
        def load(self) -> object:
            return load()

    return Point(name, f"{name}_plugin:command", root.GROUP)


def test_plugins_are_attached_lazily_and_a_broken_one_disturbs_nobody(
    naisho: Naisho, monkeypatch: pytest.MonkeyPatch, accounts: dict[str, str]
) -> None:
    loaded = []

    def good() -> click.Command:
        loaded.append("good")

        @click.command("good")
        @click.pass_obj
        def command(context: Any) -> None:
            context.output.result({"profile": context.profile, "language": context.texts.language})

        return command

    def bad() -> object:
        raise ImportError("no module named nothing")

    points = [point("good", good), point("bad", bad), point("odd", lambda: lambda _texts: 5), point("send", bad)]
    monkeypatch.setattr("naisho.cli.main.find_plugins", lambda: points)
    code, out, _ = naisho("--help")
    assert code == 0
    assert "good" in out
    assert "bad" in out
    assert loaded == []
    assert document(naisho("good", "--json", "--profile", "bob", "--lang", "ja")) == {
        "profile": "bob",
        "language": "ja",
    }
    for name in ("bad", "odd"):
        code, out, _ = naisho(name, "anything", "--at-all", "--json")
        assert code == 1
        assert json.loads(out)["error"]["code"] == "broken_plugin"
    assert "no module named nothing" in naisho("bad")[2]
    assert naisho("account", "show", "--profile", "bob")[0] == 0
    assert document(naisho("send", accounts["bob"], "x", "--profile", "alice", "--json"))["state"] == "stored"


def test_an_unexpected_error_is_told_without_a_traceback(naisho: Naisho, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: object, **__: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("naisho.client.Client.open", explode)
    code, out, err = naisho("path")
    assert (code, out) == (1, "")
    assert "boom" in err
    assert "Traceback" not in err
    with pytest.raises(RuntimeError):
        naisho("path", NAISHO_DEBUG="1")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(naisho: Naisho, shell: str) -> None:
    code, out, _ = naisho("completion", shell)
    assert code == 0
    assert "_NAISHO_COMPLETE" in out
    words = {"COMP_WORDS": "naisho acc", "COMP_CWORD": "acc" if shell == "fish" else "1"}
    environment = {**os.environ, **words, "_NAISHO_COMPLETE": f"{shell}_complete"}
    done = subprocess.run(
        [sys.executable, "-m", "naisho.cli.main"], env=environment, capture_output=True, text=True, check=False
    )
    assert "account" in done.stdout
