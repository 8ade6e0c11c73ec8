from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import pytest

from services.chassis.settings import (
    DAY,
    Address,
    Duration,
    Range,
    Secret,
    SettingsError,
    Size,
    read_settings,
)


class Mode(enum.Enum):
    STRICT = "strict"
    RELAXED = "relaxed"


@dataclass(frozen=True, slots=True)
class LogSettings:
    url: str = "nats://127.0.0.1:4222"
    password: Secret | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    data: Path
    listen: Address = field(default=Address("127.0.0.1", 0))
    members: Annotated[int, Range(3, 20)] = 6
    share: Annotated[float, Range(0, 1)] = 0.5
    relay: bool = False
    keep: Annotated[Duration, Range(60)] = field(default=Duration(14 * DAY))
    most: Size = field(default=Size(10 * 2**20))
    mode: Mode = Mode.STRICT
    seeds: tuple[Address, ...] = ()
    family: str | None = None
    log: LogSettings = field(default=LogSettings())

    def __post_init__(self) -> None:
        if self.members == 13:
            raise ValueError("13 members bring bad luck")


def read(environ: dict[str, str], file: Path | None = None) -> Settings:
    return read_settings(Settings, prefix="NAISHO_TEST", environ=environ, file=file)


def problems(environ: dict[str, str], file: Path | None = None) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        read(environ, file)
    for problem in caught.value.problems:
        assert problem in str(caught.value)
    return caught.value.problems


def toml(folder: Path, text: str) -> Path:
    file = folder / "settings.toml"
    file.write_text(text)
    return file


def test_defaults_are_overridden_by_the_file_and_that_by_the_environment(tmp_path: Path) -> None:
    file = toml(tmp_path, 'data = "/from/file"\nmembers = 7\nrelay = true\n[log]\nurl = "nats://file:1"\n')
    settings = read({"NAISHO_TEST_MEMBERS": "8", "NAISHO_TEST_LOG_URL": "nats://env:2", "HOME": "/x"}, file)
    assert settings == Settings(Path("/from/file"), members=8, relay=True, log=LogSettings("nats://env:2"))


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("LISTEN", "[::1]:8443", "listen", Address("::1", 8443)),
        ("LISTEN", "node.example:0", "listen", Address("node.example", 0)),
        ("MEMBERS", "10", "members", 10),
        ("SHARE", "0.25", "share", 0.25),
        ("SHARE", "1", "share", 1.0),
        ("RELAY", "Yes", "relay", True),
        ("RELAY", "0", "relay", False),
        ("KEEP", "90s", "keep", 90.0),
        ("KEEP", "1.5h", "keep", 5400.0),
        ("KEEP", "30d", "keep", 30 * DAY),
        ("MOST", "10MiB", "most", 10 * 2**20),
        ("MOST", "3 KB", "most", 3000),
        ("MODE", "relaxed", "mode", Mode.RELAXED),
        ("SEEDS", "a:1, b:2,", "seeds", (Address("a", 1), Address("b", 2))),
        ("SEEDS", "", "seeds", ()),
        ("FAMILY", "north", "family", "north"),
    ],
)
def test_values_are_read(name: str, text: str, field: str, value: Any) -> None:
    settings = read({"NAISHO_TEST_DATA": "/d", f"NAISHO_TEST_{name}": text})
    assert getattr(settings, field) == value
    assert type(getattr(settings, field)) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("LISTEN", "8443", "host:port"),
        ("LISTEN", "::1:8443", "brackets"),
        ("LISTEN", "a:65536", "host:port"),
        ("LISTEN", "a:\uff11", "host:port"),
        ("MEMBERS", "2", "between 3 and 20"),
        ("MEMBERS", "many", "whole number"),
        ("MEMBERS", "6.0", "whole number"),
        ("SHARE", "1.5", "between 0 and 1"),
        ("SHARE", "nan", "finite"),
        ("RELAY", "maybe", "true or false"),
        ("KEEP", "90", "unit"),
        ("KEEP", "90 fortnights", "unit"),
        ("KEEP", "10s", "between 60 and inf"),
        ("MOST", "10", "unit"),
        ("MODE", "lax", "strict, relaxed"),
        ("SEEDS", "a:1,b", "host:port"),
        ("MEMBERS", "13", "bad luck"),
    ],
)
def test_values_that_cannot_be_used_are_named(name: str, text: str, says: str) -> None:
    (problem,) = problems({"NAISHO_TEST_DATA": "/d", f"NAISHO_TEST_{name}": text})
    assert says in problem
    assert name in problem or "luck" in problem


@pytest.mark.parametrize(
    "text", ["members = true", 'members = "six"', "members = 6.5", "seeds = 3", "relay = 1", "family = 3"]
)
def test_toml_types_are_checked(tmp_path: Path, text: str) -> None:
    (problem,) = problems({"NAISHO_TEST_DATA": "/d"}, toml(tmp_path, text))
    assert problem.startswith(text.split(maxsplit=1)[0] + " in ")


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    file = toml(tmp_path, 'memberz = 7\nshare = 2\n[log]\nurI = "x"\n[lag]\na = 1\n')
    told = problems({"NAISHO_TEST_MODE": "lax", "NAISHO_TEST_LISTN": "a:1"}, file)
    assert len(told) == 7
    assert any("memberz" in problem and "nearest is members" in problem for problem in told)
    assert any("log.urI" in problem and "nearest is log.url" in problem for problem in told)
    assert any(problem.startswith("lag in ") for problem in told)
    assert any("NAISHO_TEST_LISTN" in problem and "nearest is NAISHO_TEST_LISTEN" in problem for problem in told)
    assert any("data is missing" in problem and "NAISHO_TEST_DATA" in problem for problem in told)


def test_a_setting_may_not_be_given_where_a_table_is_due(tmp_path: Path) -> None:
    (problem,) = problems({"NAISHO_TEST_DATA": "/d"}, toml(tmp_path, 'log = "nats://x:1"'))
    assert "log in " in problem


def test_a_file_that_is_no_toml_or_not_there_is_a_problem(tmp_path: Path) -> None:
    assert "cannot be read" in problems({"NAISHO_TEST_DATA": "/d"}, toml(tmp_path, "= 3"))[0]
    assert "cannot be read" in problems({"NAISHO_TEST_DATA": "/d"}, tmp_path / "none.toml")[0]


def test_variables_of_others_do_not_matter() -> None:
    assert read({"NAISHO_TEST_DATA": "/d", "NAISHO_OTHER_X": "1", "NAISHO_TESTING": "1"}).members == 6


def secret_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    file = folder / "password"
    file.write_text(text)
    file.chmod(mode)
    return file


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o440])
def test_a_secret_comes_from_a_file_and_is_not_printed(tmp_path: Path, mode: int) -> None:
    file = secret_file(tmp_path, "hunter2\n", mode)
    settings = read({"NAISHO_TEST_DATA": "/d", "NAISHO_TEST_LOG_PASSWORD_FILE": str(file)})
    assert settings.log.password is not None
    assert (settings.log.password.reveal(), settings.log.password.text) == (b"hunter2", "hunter2")
    assert "hunter2" not in f"{settings} {settings.log.password!r}"


def test_a_secret_may_be_named_in_toml(tmp_path: Path) -> None:
    file = secret_file(tmp_path, "hunter2")
    settings = read({"NAISHO_TEST_DATA": "/d"}, toml(tmp_path, f'[log]\npassword_file = "{file}"'))
    assert settings.log.password == Secret(b"hunter2")


def test_a_secret_in_plain_is_refused_without_being_quoted(tmp_path: Path) -> None:
    file = toml(tmp_path, '[log]\npassword = "hunter2"')
    told = problems({"NAISHO_TEST_DATA": "/d", "NAISHO_TEST_LOG_PASSWORD": "hunter3"}, file)
    assert len(told) == 2
    assert all("not given in plain" in problem and "hunter" not in problem for problem in told)


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [
        ("hunter2", 0o644, "everybody"),
        ("hunter2", 0o604, "everybody"),
        ("", 0o600, "between 1"),
        ("x" * 70_000, 0o600, "between 1"),
    ],
)
def test_a_secret_file_that_should_not_be_trusted_is_refused(tmp_path: Path, text: str, mode: int, says: str) -> None:
    file = secret_file(tmp_path, text, mode)
    (problem,) = problems({"NAISHO_TEST_DATA": "/d", "NAISHO_TEST_LOG_PASSWORD_FILE": str(file)})
    assert says in problem
    assert "hunter2" not in problem


def test_a_missing_secret_file_is_named(tmp_path: Path) -> None:
    (problem,) = problems({"NAISHO_TEST_DATA": "/d", "NAISHO_TEST_LOG_PASSWORD_FILE": str(tmp_path / "none")})
    assert str(tmp_path / "none") in problem


def test_a_type_that_settings_cannot_have_is_a_mistake_of_the_program() -> None:
    @dataclass(frozen=True)
    class Odd:
        what: complex = 1j

    with pytest.raises(TypeError, match="complex"):
        read_settings(Odd, prefix="NAISHO_ODD", environ={"NAISHO_ODD_WHAT": "1"})


@pytest.mark.parametrize("text", ["127.0.0.1:80", "[::1]:80"])
def test_an_address_prints_as_it_is_written(text: str) -> None:
    assert str(Address.parse(text)) == text
