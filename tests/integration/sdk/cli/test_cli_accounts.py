"""The command line and accounts: words, QR codes, locks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import zxingcpp

from tests.integration.sdk.cli.calling import Naisho, document


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
