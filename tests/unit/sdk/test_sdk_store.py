"""What lies on the disk says nothing, opens for nobody else, and notices every change."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend

from naisho.errors import (
    AccountExists,
    BadProfileName,
    KeyMissing,
    KeyringUnusable,
    NaishoError,
    NoAccount,
    StoreDamaged,
    StoreFromFuture,
    WrongKey,
)
from naisho.protocol.account import AccountKeys
from naisho.store import locks
from naisho.store.database import Database
from naisho.store.locks import KeyFile, Keyring, Passphrase, Unlocker, create_lock, open_lock
from naisho.store.records import Message, MessageState, OutgoingEnvelope
from naisho.store.store import Store, open_store, profile_folder

CANARY = "the canary sings at midnight"
ME, YOU = AccountKeys.from_seed(b"m" * 16), AccountKeys.from_seed(b"y" * 16)


@pytest.fixture(autouse=True)
def cheap_argon2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "ARGON2ID", {"memory_kib": 64, "iterations": 1, "lanes": 1})


async def fill(store: Store) -> None:
    await store.accounts.save(ME, f"name {CANARY}", 1)
    await store.accounts.set("setting", CANARY)
    await store.contacts.rename(YOU.account_id, CANARY, 1)
    message = Message(YOU.account_id, ME.account_id, 5, CANARY, MessageState.QUEUED)
    envelope = OutgoingEnvelope(0, YOU.account_id, CANARY.encode() * 100, 5, 60_000, None, False, 0)
    await store.mail("net").queue([envelope], message)
    await store.network("net").keep_directory(CANARY.encode(), 1)


async def test_no_file_holds_a_plaintext_while_open_or_closed(tmp_path: Path) -> None:
    secrets = (
        CANARY.encode(),
        ME.seed,
        YOU.account_id.raw,
        YOU.account_id.hex.encode(),
        b"CREATE TABLE",
        b"SQLite format",
    )

    def assert_silent() -> None:
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert len(files) >= 3
        for path in files:
            content = path.read_bytes()
            assert not [secret for secret in secrets if secret in content], path.name
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path.name

    old = os.umask(0)
    try:
        async with open_store(tmp_path, "default", lambda _: KeyFile(), create=True) as store:
            await fill(store)
            assert_silent()
        assert_silent()
    finally:
        os.umask(old)
    (tmp_path / "control").write_bytes(b"..." + CANARY.encode())
    with pytest.raises(AssertionError):
        assert_silent()


async def test_what_was_written_is_there_again(tmp_path: Path) -> None:
    async with open_store(tmp_path, "default", lambda _: Passphrase("let me in"), create=True) as store:
        await fill(store)
    async with open_store(tmp_path, "default", lambda _: Passphrase("let me in")) as store:
        keys, name = await store.accounts.load()
        assert (keys.account_id, name) == (ME.account_id, f"name {CANARY}")
        (message,) = await store.history.conversation(YOU.account_id)
        assert message.text == CANARY
        with pytest.raises(AccountExists):
            await store.accounts.save(YOU, "", 1)


@pytest.mark.parametrize("wrong", [Passphrase("let me out"), Passphrase("let me in "), KeyFile()])
async def test_a_wrong_key_is_refused(tmp_path: Path, wrong: Unlocker) -> None:
    async with open_store(tmp_path, "default", lambda _: Passphrase("let me in"), create=True) as store:
        await fill(store)
    with pytest.raises(WrongKey):
        async with open_store(tmp_path, "default", lambda _: wrong):
            pass
    with pytest.raises(KeyMissing):
        async with open_store(tmp_path, "default", lambda _: Passphrase("")):
            pass


async def test_the_database_itself_refuses_another_key(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "store.db", b"k" * 32)
    await database.close()
    with pytest.raises(StoreDamaged):
        await Database.open(tmp_path / "store.db", b"K" * 32)


async def test_a_changed_message_is_never_shown(tmp_path: Path) -> None:
    async with open_store(tmp_path, "default", lambda _: KeyFile(), create=True) as store:
        await fill(store)
        for number in range(100):
            await store.history.add(Message(YOU.account_id, YOU.account_id, number, "x" * 500, MessageState.RECEIVED))
    path = tmp_path / "profiles/default/store.db"
    content = path.read_bytes()
    pages = len(content) // 4096
    refused = 0
    for page in range(pages):
        changed = bytearray(content)
        changed[page * 4096 + 1000] ^= 1
        path.write_bytes(changed)
        try:
            async with open_store(tmp_path, "default", lambda _: KeyFile()) as store:
                assert await store._database.run(lambda c: c.execute("PRAGMA cipher_integrity_check").fetchall())
                messages = await store.history.conversation(YOU.account_id, 1000)
                assert {message.text for message in messages} == {CANARY, "x" * 500}
        except StoreDamaged:
            refused += 1
    assert 15 < refused < pages, "the pages of a hundred messages, but not those of other tables"


def test_the_lock_file_cannot_be_changed(tmp_path: Path) -> None:
    key = create_lock(tmp_path, Passphrase("let me in"))
    assert open_lock(tmp_path, Passphrase("let me in")) == key
    original = json.loads((tmp_path / "lock.json").read_text())
    assert original["kind"] == "passphrase"
    changes: list[dict[str, object]] = [
        {"kind": "file"},
        {"kind": "unheard-of"},
        {"version": 2},
        {"sealed_key": "AAAA"},
        {"sealed_key": "not base64!"},
        {"sealed_key": None},
        {"parameters": None},
        {"parameters": {**original["parameters"], "iterations": 2}},
        {"parameters": {**original["parameters"], "iterations": 10**9}},
        {"parameters": {**original["parameters"], "memory_kib": 2**40}},
        {"parameters": {**original["parameters"], "salt": "00"}},
        {"parameters": {**original["parameters"], "lanes": "many"}},
        {"parameters": {}},
        {"more": 1},
    ]
    for change in changes:
        (tmp_path / "lock.json").write_text(json.dumps({**original, **change}))
        with pytest.raises((WrongKey, StoreDamaged)):
            open_lock(tmp_path, Passphrase("let me in"))
    for text in ("", "[]", "{", "\xff"):
        (tmp_path / "lock.json").write_text(text)
        with pytest.raises(StoreDamaged):
            open_lock(tmp_path, Passphrase("let me in"))


def test_passphrases_are_stretched_as_stated() -> None:
    assert locks.ARGON2ID_MAX["memory_kib"] >= 64 * 1024
    stated = (locks.__doc__ or "").split()
    assert stated[stated.index("64") : stated.index("64") + 6] == ["64", "MiB,", "3", "passes,", "4", "lanes)."]


class MemoryKeyring(KeyringBackend):
    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # keyring's own
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


async def test_the_desktops_key_store_unlocks(tmp_path: Path) -> None:
    before = keyring.get_keyring()
    memory = MemoryKeyring()
    try:
        keyring.set_keyring(memory)
        assert Keyring.usable()
        async with open_store(tmp_path, "default", lambda _: Keyring(), create=True) as store:
            await fill(store)
        async with open_store(tmp_path, "default", lambda kind: {"keyring": Keyring()}[kind or ""]) as store:
            await store.accounts.load()
        ((entry, key),) = memory.kept.items()
        memory.kept[entry] = "00" * 32
        with pytest.raises(WrongKey):
            async with open_store(tmp_path, "default", lambda _: Keyring()):
                pass
        memory.kept.clear()
        with pytest.raises(KeyringUnusable):
            async with open_store(tmp_path, "default", lambda _: Keyring()):
                pass
        assert key not in (tmp_path / "profiles/default/lock.json").read_text()
    finally:
        keyring.set_keyring(before)


def test_a_lost_key_file_is_told_and_not_made_again(tmp_path: Path) -> None:
    key = create_lock(tmp_path, KeyFile())
    assert open_lock(tmp_path, KeyFile()) == key
    (tmp_path / "store.key").unlink()
    with pytest.raises(KeyMissing):
        open_lock(tmp_path, KeyFile())
    assert not (tmp_path / "store.key").exists()


async def test_no_store_is_made_by_looking_for_one(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with pytest.raises(NoAccount):
        async with open_store(folder, "nobody", lambda _: KeyFile()):
            pass
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - quick, and nobody waits


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".", "-x", "a" * 41, "ü", "a b", "x\0"])
def test_a_profiles_name_is_a_folders_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadProfileName):
        profile_folder(tmp_path, name)


async def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "store.db", b"k" * 32)
    await database.run(lambda c: c.execute("PRAGMA user_version = 99"))
    await database.close()
    with pytest.raises(StoreFromFuture):
        await Database.open(tmp_path / "store.db", b"k" * 32)


async def test_failed_work_leaves_no_trace(tmp_path: Path) -> None:
    async with open_store(tmp_path, "default", lambda _: KeyFile(), create=True) as store:
        await fill(store)

        def half(connection: object) -> None:
            connection.execute("DELETE FROM message")  # type: ignore[attr-defined]
            raise RuntimeError("half way")

        with pytest.raises(RuntimeError):
            await store._database.run(half)
        assert len(await store.history.conversation(YOU.account_id)) == 1


async def test_two_programs_may_use_one_store(tmp_path: Path) -> None:
    one_at = open_store(tmp_path, "default", lambda _: KeyFile(), create=True)
    async with one_at as one, open_store(tmp_path, "default", lambda _: KeyFile()) as other:
        await fill(one)
        assert len(await other.history.conversation(YOU.account_id)) == 1
        await other.history.add(Message(YOU.account_id, YOU.account_id, 9, "from the other", MessageState.RECEIVED))
        assert len(await one.history.unread(YOU.account_id)) == 1


async def test_what_expired_is_forgotten(tmp_path: Path) -> None:
    async with open_store(tmp_path, "default", lambda _: KeyFile(), create=True) as store:
        mail = store.mail("net")
        await mail.read_to(0, "hash-1", 100, now_ms=50)
        assert await mail.unseen(["hash-1", "hash-2"]) == {"hash-2"}
        await mail.read_to(0, "hash-2", 300, now_ms=200)
        assert await mail.unseen(["hash-1", "hash-2"]) == {"hash-1"}
        assert await mail.position(0) == "hash-2"
        assert await mail.position(2) == ""
        assert await store.mail("elsewhere").position(0) == ""


def test_every_error_of_the_store_is_ours() -> None:
    assert all(issubclass(kind, NaishoError) for kind in (WrongKey, StoreDamaged, KeyMissing))
