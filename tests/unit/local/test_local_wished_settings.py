"""``naisho network up --set``: what no part of a network knows is refused, in every language; nothing is begun."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from naisho.cli.main import run
from naisho.texts import LANGUAGES
from operators.local import texts as catalogs
from operators.local.wished_settings import WishedSetting, chosen, settings_by_part


def read(given: str, language: str = "en") -> tuple[str, str]:
    return WishedSetting(catalogs.load(language)).convert(given, None, None)


@pytest.mark.parametrize(
    "given",
    [
        "onion.rate.burst=900",
        "swarm.key_period=2s",
        "swarm.retention.longest=1d",
        "custodian.per_second=50",
        "nats.monitor_port=8222",
        "onion.relay.hosts=a.example,b.example",
        "onion.relay.hosts=",
        "swarm.about.machine=a=b",
    ],
)
def test_what_a_part_knows_is_taken(given: str) -> None:
    name, _, value = given.partition("=")
    assert read(given) == (name, value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("foo.bar=1", ["foo.bar", "custodian, nats, onion, swarm"]),
        ("onions.rate.burst=1", ["custodian, nats, onion, swarm"]),
        ("onion.rate.burts=1", ["onion.rate.burts", "onion.rate.burst", "onion.rate.addresses"]),
        ("nats.port=1", ["nats.monitor_port"]),
        ("swarm.=1", ["swarm.load.own"]),
        ("onion.https=127.0.0.1:1", ["onion.https", "onion.rate.burst"]),
        ("swarm.node_key=x", ["swarm.node_key", "swarm.store.sweep"]),
        ("swarm.node_key_file=x", ["swarm.node_key_file"]),
        ("swarm.telemetry=127.0.0.1:1", ["swarm.telemetry"]),
        ("swarm.key_period=soon", ["swarm.key_period", "90s"]),
        ("onion.rate.burst=0", ["onion.rate.burst", "1"]),
        ("nats.monitor_port=65536", ["nats.monitor_port", "65535"]),
        ("onion.rate.burst", ["onion.rate.burst", "NAME=VALUE"]),
        ("burst=900", ["NAME=VALUE"]),
        ("", ["NAME=VALUE"]),
    ],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_no_part_knows_is_refused_with_what_there_is(given: str, said: list[str], language: str) -> None:
    with pytest.raises(click.BadParameter) as refused:
        read(given, language)
    for word in said:
        assert word in refused.value.message


def test_addresses_files_and_secrets_are_the_networks_to_choose() -> None:
    parts = {part: {setting.key: chosen(setting) for setting in known} for part, known in settings_by_part().items()}
    assert [key for key, is_chosen in parts["swarm"].items() if is_chosen] == [
        "network_file",
        "node_key_file",
        "mailbox_key_file",
        "certificate",
        "data",
        "about.https",
        "about.hop",
        "about.seed",
        "nats.servers",
        "nats.user_key_file",
        "nats.user_jwt",
        "nats.tls_authority",
        "mailbox",
        "telemetry",
    ]
    assert not parts["onion"]["relay.hosts"]


@pytest.mark.parametrize(("language", "word"), [("en", "In detail"), ("ja", "部分はありません")])
def test_the_command_says_so_and_makes_nothing(
    tmp_path: Path, language: str, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "network"
    given = ["network", "up", "--home", str(home), "--set", "foo.bar=1", "--lang", language]
    assert run(given, {"NAISHO_DATA_DIR": str(tmp_path)}) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "--set" in err
    assert word in err
    assert "custodian, nats, onion, swarm" in err
    assert not home.exists()
