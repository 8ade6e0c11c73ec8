"""The rendered configuration and the server that runs it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from operators.local.errors import StartFailed
from operators.local.nats_config import NatsAccount, NatsConfig, network_account, render
from operators.local.nats_server import NatsServer, SyncSettings, check_config, free_port
from operators.membership.nats_rights import NatsUser
from services.chassis.nats.names import NetworkNames
from services.chassis.nats.nkey import public_key, sign


def config(directory: Path, *, accounts: tuple[NatsAccount, ...] = ()) -> NatsConfig:
    return NatsConfig(
        server_name="test",
        port=free_port(),
        monitor_port=free_port(),
        store=directory / "store",
        log=directory / "nats.log",
        max_store_bytes=1 << 30,
        accounts=accounts,
    )


def new_key() -> str:
    return public_key(secrets.token_bytes(32))


def test_a_whole_networks_configuration_is_accepted(tmp_path: Path) -> None:
    nodes = {f"node-{number:02d}": new_key() for number in range(15)}
    account = network_account(
        NetworkNames("n-3f9c2a"), authority=new_key(), custodian=new_key(), nodes=nodes, max_store_bytes=1 << 30
    )
    path = tmp_path / "nats.json"
    path.write_text(render(config(tmp_path, accounts=(account,))))
    check_config(path)


def test_nobody_but_the_authority_may_make_consumers_and_nobody_but_the_custodian_may_delete() -> None:
    account = network_account(
        NetworkNames("n-1"), authority="UA", custodian="UC", nodes={"a": "U1", "b": "U2"}, max_store_bytes=1
    )
    may = {user.public_key: " ".join(user.publish) for user in account.users}
    assert [key for key, allowed in may.items() if "CONSUMER.CREATE" in allowed or "DURABLE" in allowed] == ["UA"]
    assert [key for key, allowed in may.items() if "MSG.DELETE" in allowed] == ["UC"]
    assert not any("PURGE" in allowed or "STREAM.DELETE" in allowed or ".>.>" in allowed for allowed in may.values())
    assert not any(
        pattern in {">", "$JS.>", "$JS.API.>", "_INBOX.>"} for user in account.users for pattern in user.publish
    )
    inboxes = [pattern for user in account.users for pattern in user.subscribe if pattern.startswith("_INBOX")]
    assert len(set(inboxes)) == len(inboxes) == 4


@pytest.mark.parametrize("name", ["", "a.b", "a b", "*", ">", 'x"', "ä"])
def test_names_that_would_widen_a_permission_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        network_account(NetworkNames("n-1"), authority="UA", custodian="UC", nodes={name: "U1"}, max_store_bytes=1)


names = st.text(
    st.characters(codec="utf-8", exclude_characters="/\x00\n\r", exclude_categories=["Cs", "Cc"]), max_size=20
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names)
def test_odd_folder_names_survive_the_quoting(tmp_path: Path, name: str) -> None:
    directory = tmp_path / f"x{name}"
    directory.mkdir(exist_ok=True)
    server = NatsServer(directory, config(directory))
    server.write_config()
    assert json.loads((directory / "nats.json").read_text())["jetstream"]["store_dir"] == str(directory / "store")


def test_the_server_keeps_its_store_where_it_is_told_even_in_an_odd_folder(
    nats_server_factory: Callable[..., NatsServer], tmp_path: Path
) -> None:
    odd = tmp_path / 'a "quoted" $HOME # folder \\ ü'
    odd.mkdir()
    server = nats_server_factory(lambda _: config(odd))
    assert (odd / "store").is_dir()
    assert server.reported_sync_settings() == SyncSettings(
        always=True, interval_s=server.reported_sync_settings().interval_s
    )


def test_a_refused_configuration_leaves_the_old_one_in_force(nats_server_factory: Callable[..., NatsServer]) -> None:
    server = nats_server_factory()
    before = (server.directory / "nats.json").read_text()
    broken = replace(server.config, accounts=(NatsAccount("A", (NatsUser("no key", (), ()),), 1),))
    with pytest.raises(StartFailed, match="refuses its configuration"):
        server.reconfigure(broken)
    assert server.running
    assert server.ready()
    assert (server.directory / "nats.json").read_text() == before
    assert not server.config.accounts


def test_a_server_whose_port_is_taken_says_why_it_ended(
    nats_server_factory: Callable[..., NatsServer], tmp_path: Path
) -> None:
    first = nats_server_factory()
    second = NatsServer(tmp_path, replace(config(tmp_path), port=first.config.port))
    with pytest.raises(StartFailed, match="address already in use"):
        second.start()


def test_the_configuration_is_its_owners_alone(nats_server_factory: Callable[..., NatsServer]) -> None:
    path = nats_server_factory().directory / "nats.json"
    assert path.stat().st_mode & 0o077 == 0


def test_the_sync_check_can_fail(
    nats_server_factory: Callable[..., NatsServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = render
    monkeypatch.setattr("operators.local.nats_server.render", lambda config: text(config).replace('"always"', '"90s"'))
    assert nats_server_factory().reported_sync_settings() == SyncSettings(always=False, interval_s=90.0)


def test_keys_are_those_of_nats() -> None:
    seed = bytes(range(32))
    assert public_key(seed).startswith("U")
    assert len(public_key(seed)) == 56
    assert "=" not in sign(seed, b"abc")
