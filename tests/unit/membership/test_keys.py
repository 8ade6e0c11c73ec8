"""Key files: made once, private, renewed, replaced."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from naisho.protocol.network_file import NetworkFile
from operators.membership.domain.errors import KeyFileError
from operators.membership.keys import (
    DELEGATED_MS,
    EPOCHS,
    create_keys,
    obtain_keys,
    read_keys,
    read_mailbox_key,
    renew_keys,
)

NOW_MS = 1_800_000_000_000
ID = "n-keys"


@pytest.fixture
def network(tmp_path: Path) -> NetworkFile:
    return NetworkFile(ID, (create_keys(tmp_path / "keys", network_id=ID, now_ms=NOW_MS),))


@pytest.fixture
def folder(tmp_path: Path, network: NetworkFile) -> Path:
    del network
    return tmp_path / "keys"


def test_files_are_private(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {"root.key", "signing.key", "signing-keys.bin", "mailbox.key"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(read_mailbox_key(folder)) == 32


def test_keys_are_never_overwritten(folder: Path) -> None:
    with pytest.raises(KeyFileError, match="never overwritten"):
        create_keys(folder, network_id=ID, now_ms=NOW_MS)


def test_the_authority_works_without_the_root_key(folder: Path, network: NetworkFile) -> None:
    (folder / "root.key").unlink()
    keys = read_keys(folder, network=network, now_ms=NOW_MS)
    assert keys.signers[0].public in keys.keys.keys
    assert "signers" not in repr(keys)
    with pytest.raises(KeyFileError, match=r"root\.key cannot be read"):
        renew_keys(folder, network=network, now_ms=NOW_MS)


def test_a_file_that_others_may_read_is_refused(folder: Path, network: NetworkFile) -> None:
    (folder / "signing.key").chmod(0o640)
    with pytest.raises(KeyFileError, match="chmod 600"):
        read_keys(folder, network=network, now_ms=NOW_MS)


@pytest.mark.parametrize("content", [b"", b"xyz", b"ab" * 31, b"AB" * 32])
def test_a_damaged_key_is_refused(folder: Path, network: NetworkFile, content: bytes) -> None:
    (folder / "signing.key").write_bytes(content)
    with pytest.raises(KeyFileError, match="64 hex digits"):
        read_keys(folder, network=network, now_ms=NOW_MS)


def test_a_delegation_ends_and_is_renewed(folder: Path, network: NetworkFile) -> None:
    before = read_keys(folder, network=network, now_ms=NOW_MS)
    later_ms = NOW_MS + DELEGATED_MS
    with pytest.raises(KeyFileError, match="renew the signing keys"):
        read_keys(folder, network=network, now_ms=later_ms)
    renewed = renew_keys(folder, network=network, now_ms=later_ms)
    assert read_keys(folder, network=network, now_ms=later_ms).keys == renewed
    assert (renewed.keys, renewed.first_epoch) == (before.keys.keys, 1)


def test_with_the_root_key_at_hand_keys_are_renewed_in_time(folder: Path, network: NetworkFile) -> None:
    half_ms = NOW_MS + DELEGATED_MS // 2
    assert obtain_keys(folder, network=network, now_ms=half_ms).keys.expires_ms == NOW_MS + DELEGATED_MS
    assert obtain_keys(folder, network=network, now_ms=half_ms + 1).keys.expires_ms == half_ms + 1 + DELEGATED_MS
    years_ms = NOW_MS + 9 * DELEGATED_MS
    assert obtain_keys(folder, network=network, now_ms=years_ms).keys.expires_ms == years_ms + DELEGATED_MS
    (folder / "root.key").unlink()
    with pytest.raises(KeyFileError, match="renew the signing keys"):
        obtain_keys(folder, network=network, now_ms=years_ms + DELEGATED_MS)


def test_a_replaced_key_signs_the_epochs_behind(folder: Path, network: NetworkFile) -> None:
    before = read_keys(folder, network=network, now_ms=NOW_MS)
    renew_keys(folder, network=network, now_ms=NOW_MS, replace_key=True)
    after = read_keys(folder, network=network, now_ms=NOW_MS)
    assert set(after.keys.keys).isdisjoint(before.keys.keys)
    assert after.keys.first_epoch == before.keys.last_epoch + 1
    assert after.keys.last_epoch - after.keys.first_epoch == EPOCHS - 1


def test_another_network_s_keys_are_refused(folder: Path, network: NetworkFile, tmp_path: Path) -> None:
    other = NetworkFile(ID, (create_keys(tmp_path / "other", network_id=ID, now_ms=NOW_MS),))
    with pytest.raises(KeyFileError, match="valid signatures of root keys"):
        read_keys(folder, network=other, now_ms=NOW_MS)
    with pytest.raises(KeyFileError, match="may not delegate"):
        renew_keys(folder, network=other, now_ms=NOW_MS)
    (folder / "signing-keys.bin").write_bytes((tmp_path / "other" / "signing-keys.bin").read_bytes())
    with pytest.raises(KeyFileError, match="not among the keys"):
        read_keys(folder, network=other, now_ms=NOW_MS)
    del network
