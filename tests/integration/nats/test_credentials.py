"""The files of a NATS user."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.chassis.nats.credentials import Credentials, from_files, trust_in
from services.chassis.nats.errors import NatsError, UnusableCredentials


@pytest.mark.parametrize(
    ("key", "jwt", "said"),
    [
        (None, "a.b.c", "user.key"),
        ("", "a.b.c", "user.key"),
        ("zz" * 32, "a.b.c", "user.key"),
        ("00" * 31, "a.b.c", "64 hexadecimal digits"),
        ("00" * 32, None, "user.jwt"),
        ("00" * 32, "", "user.jwt"),
        ("00" * 32, "a.b", "user.jwt"),
        ("00" * 32, "ä.b.c", "user.jwt"),
        ("00" * 32, "a.b." + "c" * 70_000, "user.jwt"),
    ],
)
def test_files_that_cannot_be_used_are_named_and_not_shown(
    tmp_path: Path, key: str | None, jwt: str | None, said: str
) -> None:
    for name, content in (("user.key", key), ("user.jwt", jwt)):
        if content is not None:
            (tmp_path / name).touch(mode=0o600)
            (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(NatsError, match=said) as refused:
        from_files(tmp_path / "user.key", tmp_path / "user.jwt")()
    assert isinstance(refused.value, UnusableCredentials)
    assert not key or key not in str(refused.value)


def test_a_key_that_everybody_may_read_is_refused(tmp_path: Path) -> None:
    key = tmp_path / "user.key"
    key.write_text("00" * 32)
    key.chmod(0o644)
    with pytest.raises(UnusableCredentials, match="chmod"):
        from_files(key, None)()


def test_credentials_print_no_secret() -> None:
    assert "aa" not in repr(Credentials(b"a" * 32, "a.a.aa"))


@pytest.mark.parametrize("content", [None, "", "rubbish"])
def test_an_authority_that_cannot_be_used_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.crt"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UnusableCredentials, match=r"ca\.crt"):
        trust_in(path)()
