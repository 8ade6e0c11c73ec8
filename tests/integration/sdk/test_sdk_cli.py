"""The command line as a person and as a script use it, on a network in memory."""

from __future__ import annotations

import importlib.metadata
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
import zxingcpp

from naisho import AccountId
from naisho.cli import root
from naisho.cli.main import run
from naisho.network.transport import NodeTransport
from naisho.protocol import network_file
from naisho.testing import FakeNetwork, Fault

Naisho = Callable[..., tuple[int, str, str]]


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


def document(result: tuple[int, str, str]) -> dict[str, Any]:
    """Return the one JSON document that a command printed, and nothing else."""
    _, out, err = result
    assert err == ""
    (line,) = out.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def test_two_terminals_talk(naisho: Naisho, accounts: dict[str, str]) -> None:
    sent = document(naisho("send", accounts["bob"], "Tea?", "--profile", "alice", "--json"))
    assert sent["state"] == "stored"
    assert sent["members_stored"] == sent["members_asked"] > 0
    assert sent["error"] is None
    code, out, _ = naisho("listen", "--once", "--profile", "bob")
    assert code == 0
    assert "alice" in out
    assert "Tea?" in out
    assert f"naisho contact accept {accounts['alice']}" in out
    assert naisho("contact", "accept", accounts["alice"], "--profile", "bob")[0] == 0
    event = document(naisho("--json", "listen", "--count", "1", "--profile", "alice"))
    assert event == {"event": "accepted", "account": accounts["bob"]}
    answer = naisho("send", accounts["alice"], "-", "--profile", "bob", stdin="Yes,\nplease\n")
    assert answer[0] == 0
    assert "keep it" in answer[1]
    heard = document(naisho("listen", "--once", "--json", "--receipts", "--profile", "alice"))
    assert (heard["event"], heard["text"], heard["is_request"]) == ("text", "Yes,\nplease", False)
    assert document(naisho("listen", "--once", "--json", "--profile", "bob"))["event"] == "read"

    history = document(naisho("history", accounts["alice"], "--json", "--profile", "bob"))["messages"]
    assert [message["text"] for message in history] == ["Tea?", "Yes,\nplease"]
    assert history[1]["state"] == "read"
    reaction = naisho("react", accounts["alice"], str(history[0]["sent_ms"]), "🍵", "--profile", "bob", "--json")
    assert document(reaction)["state"] == "stored"
    assert "🍵" in naisho("listen", "--once", "--profile", "alice")[1]
    assert document(naisho("unsend", str(history[1]["sent_ms"]), "--json", "--profile", "bob"))["state"] == "stored"
    assert document(naisho("listen", "--once", "--json", "--profile", "alice"))["event"] == "unsent"
    assert naisho("listen", "--once", "--profile", "alice")[2].strip() == "Nothing new."
    code, out, _ = naisho("history", accounts["bob"], "--profile", "alice")
    assert "deleted for everyone" in out
    contacts = document(naisho("contact", "list", "--json", "--profile", "alice"))["contacts"]
    assert contacts == [{"account_id": accounts["bob"], "display_name": "bob", "state": "contact"}]


def test_the_path_is_shown_with_all_its_caveats(naisho: Naisho, accounts: dict[str, str], network: FakeNetwork) -> None:
    code, out, err = naisho("path", "--profile", "alice")
    assert code == 0
    for word in ("entry", "middle", "exit", "green", "single-operator", "One operator", "Simulated"):
        assert word in out
    assert "nobody checks" in err
    assert "on purpose" in err
    shown = document(naisho("path", "--profile", "alice", "--json"))
    assert shown["light"] == "green"
    assert [hop["node"] for hop in shown["hops"]] == [key.hex() for key in network.carried[-1].hops]
    assert shown["one_operator"] is True
    assert shown["cause"] is None
    assert accounts["alice"] not in out + err

    network.offline = True
    code, out, _ = naisho("path", "--profile", "alice")
    assert code == 1
    assert "orange" in out
    assert "Check the connection" in out
    shown = document(naisho("path", "--profile", "alice", "--json"))
    assert (shown["light"], shown["cause"]["code"]) == ("orange", "entry_unreachable")


def test_a_swarm_is_shown(naisho: Naisho, accounts: dict[str, str], network: FakeNetwork) -> None:
    shown = document(naisho("swarm", accounts["bob"], "--profile", "alice", "--json"))
    members = network.members(AccountId.parse(accounts["bob"]))
    assert {member["node"] for member in shown["members"]} == {node.key.hex() for node in members}
    code, out, _ = naisho("swarm", "--profile", "alice")
    assert code == 0
    assert "nodes keep this mailbox" in out


def test_a_message_that_waits_says_so_and_why(naisho: Naisho, accounts: dict[str, str], network: FakeNetwork) -> None:
    document(naisho("path", "--profile", "alice", "--json"))
    network.offline = True
    code, out, err = naisho("send", accounts["bob"], "hello", "--profile", "alice")
    assert code == 1
    assert "waits on this device" in out
    assert "✗" in err
    assert "→" in err
    waiting = document(naisho("send", accounts["bob"], "hello again", "--profile", "alice", "--json"))
    assert (waiting["state"], waiting["error"]["code"]) == ("queued", "entry_unreachable")
    network.offline = False
    assert naisho("listen", "--once", "--profile", "alice")[0] == 0
    _, out, _ = naisho("listen", "--once", "--json", "--profile", "bob")
    assert [json.loads(line)["text"] for line in out.splitlines()] == ["hello", "hello again"]


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


def test_an_account_moves_by_its_words(naisho: Naisho, accounts: dict[str, str]) -> None:
    words = document(naisho("account", "words", "--profile", "alice", "--json"))["recovery_words"]
    assert len(words.split()) == 13
    moved = naisho("account", "recover", "--profile", "tablet", "--lock", "file", "--json", stdin=words.upper() + "\n")
    assert document(moved)["account_id"] == accounts["alice"]
    assert "--noted" not in naisho("account", "show", "--profile", "tablet")[2]
    for wrong in (
        "",
        "abbey " * 12 + "zoom",
        " ".join(words.split()[:12]),
        words.replace(words.split()[3], "nonsense"),
    ):
        code, out, _ = naisho("account", "recover", "--profile", "x", "--lock", "file", "--json", stdin=wrong)
        assert code == 1
        assert json.loads(out)["error"]["code"] == "bad_recovery_words"
    code, out, _ = naisho("account", "recover", "--profile", "bob", "--json", stdin=words)
    assert json.loads(out)["error"]["code"] == "account_exists"


@pytest.mark.usefixtures("accounts")
def test_one_is_reminded_of_the_words_until_they_are_noted(naisho: Naisho) -> None:
    for _ in range(2):
        assert "account words --noted" in naisho("account", "show", "--profile", "alice")[2]
    naisho("account", "words", "--noted", "--profile", "alice")
    assert naisho("account", "show", "--profile", "alice")[2] == ""
    assert document(naisho("account", "show", "--profile", "alice", "--json"))["recovery_words_noted"] is True


def test_the_qr_code_is_the_account_id(naisho: Naisho, accounts: dict[str, str]) -> None:
    _, out, _ = naisho("account", "show", "--qr", "--profile", "alice")
    assert scan([line for line in out.splitlines() if set(line) <= set("█▀▄ ") and line]) == accounts["alice"]


def scan(drawing: list[str]) -> str:
    """Read a QR code that was drawn with half blocks, light on dark, as a camera would."""
    upper, lower = "█▀", "█▄"
    rows = [[c in half for c in line.ljust(len(drawing[0]))] for line in drawing for half in (upper, lower)]
    scale = 4
    pixels = b"".join(bytes(255 * light for light in row for _ in range(scale)) for row in rows for _ in range(scale))
    image = memoryview(pixels).cast("B", shape=[len(rows) * scale, len(rows[0]) * scale])
    (code,) = zxingcpp.read_barcodes(image)
    return str(code.text)


def test_a_passphrase_can_come_from_a_file(naisho: Naisho, tmp_path: Path) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text("correct horse\n")
    given = {"NAISHO_PASSPHRASE_FILE": str(secret)}
    assert naisho("account", "new", **given)[0] == 0
    assert naisho("account", "show", **given)[0] == 0
    code, out, _ = naisho("account", "show", "--json")
    assert (code, json.loads(out)["error"]["code"]) == (1, "key_missing")
    secret.write_text("wrong horse\n")
    code, out, _ = naisho("account", "show", "--json", **given)
    assert (code, json.loads(out)["error"]["code"]) == (1, "wrong_key")


def test_a_new_store_is_never_locked_by_surprise(naisho: Naisho, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("naisho.store.locks.Keyring.usable", staticmethod(lambda: False))
    code, out, _ = naisho("account", "new", "--json")
    assert (code, json.loads(out)["error"]["code"]) == (1, "lock_not_chosen")


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


def test_somebody_elses_text_cannot_control_the_terminal(naisho: Naisho, accounts: dict[str, str]) -> None:
    naisho("send", accounts["bob"], "\x1b[2Jgone\x07 \x9b31m", "--profile", "alice")
    _, out, _ = naisho("listen", "--once", "--profile", "bob")
    assert "gone" in out
    assert not {"\x1b", "\x07", "\x9b"} & set(out)


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


@pytest.mark.usefixtures("accounts")
def test_listen_ends_on_ctrl_c_and_closes_the_store(naisho: Naisho) -> None:
    timer = threading.Timer(1.0, lambda: signal.raise_signal(signal.SIGINT))
    timer.start()
    code, _, err = naisho("listen", "--profile", "alice")
    timer.join()
    assert code == 0
    assert "Listening" in err
    for thread in threading.enumerate():
        if thread.name.startswith("naisho-store"):
            thread.join(5)
            assert not thread.is_alive()


@pytest.mark.usefixtures("accounts")
def test_a_silent_swarm_is_told(naisho: Naisho, network: FakeNetwork) -> None:
    network.faults = dict.fromkeys(network.directory.by_key, Fault.BUSY)
    code, out, _ = naisho("path", "--profile", "alice", "--json")
    assert code == 1
    assert json.loads(out)["cause"]["code"] == "overloaded"
