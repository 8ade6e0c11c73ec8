from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator

import pytest

from services.chassis.logs import configure, masked
from services.chassis.redaction import Redacted

ACCOUNT = "05" + "3f" * 32
HASH = "Rr3oqXkq+Zu1m9J0/Yt8vW2sPq5LcN7xHbT4eKdUaIg"

Logged = Callable[[], str]


@pytest.fixture(params=[False, True], ids=["lines", "pretty"])
def logged(request: pytest.FixtureRequest) -> Iterator[Logged]:
    stream = io.StringIO()
    undo = configure("debug", stream, pretty=request.param)
    yield stream.getvalue
    undo()


@pytest.fixture
def lines() -> Iterator[Logged]:
    stream = io.StringIO()
    undo = configure("info", stream)
    yield stream.getvalue
    undo()


log = logging.getLogger("services.test")


def test_a_line_has_time_level_logger_message_and_fields(lines: Logged) -> None:
    log.warning("disk is %s", "filling", extra={"free": 3, "volume": "data one"})
    (line,) = lines().splitlines()
    time, rest = line.split(" ", 1)
    assert time.endswith("+00:00")
    assert rest == 'level=warning logger=services.test message="disk is filling" free=3 volume="data one"'


def test_below_its_level_nothing_is_written(lines: Logged) -> None:
    log.debug("noise")
    assert lines() == ""


def test_one_record_is_one_line_whatever_it_holds(lines: Logged) -> None:
    try:
        raise ValueError("first\nsecond \x1b[31m\x00")
    except ValueError:
        log.exception("it\nbroke", extra={"odd": 'a "b" \\ \u2028'})
    (line,) = lines().split("\n")[:-1]
    assert 'message="it\\nbroke"' in line
    assert "\\nValueError: first\\nsecond" in line
    assert line.isprintable()


def test_a_line_is_bounded(lines: Logged) -> None:
    log.info("x y " * 100_000)
    assert len(lines()) < 20_000


@pytest.mark.parametrize(
    "secret", [ACCOUNT, ACCOUNT.upper(), "ab" * 16, HASH, "203.0.113.7", "2001:db8::7", "::ffff:203.0.113.7"]
)
def test_what_looks_like_an_identifier_or_address_is_masked_everywhere(logged: Logged, secret: str) -> None:
    log.info("stored for %s", secret, extra={"who": secret})
    log.info("in-text:%s,", secret)
    try:
        raise KeyError(secret)
    except KeyError:
        log.exception("failed")
    assert secret not in logged()
    assert logged().count("[redacted]") >= 4


def test_an_account_is_masked_though_it_is_glued_to_something(logged: Logged) -> None:
    log.info("key%send", ACCOUNT)
    assert ACCOUNT[:20] not in logged()


def test_wrapped_values_are_redacted_in_messages_and_fields(logged: Logged) -> None:
    log.info("for %s", Redacted("alice"), extra={"who": Redacted("alice")})
    assert "alice" not in logged()


@pytest.mark.parametrize(
    "harmless",
    [
        "listening on 127.0.0.1:4222 and [::1]:80 and 0.0.0.0:443",
        "at 05:31:02.064 on 2026-11-22T05:31:02+00:00",
        "version 2.11.0 after 1.2.3",
        "/var/lib/naisho/nodes/three/mailboxes/store.sqlite-wal",
        "services.chassis.packed.server:141 and services/chassis/eventlog/jetstream_deliveries.py",
        "naisho::swarm and std::move",
    ],
)
def test_what_is_harmless_stays(harmless: str) -> None:
    assert masked(harmless) == harmless


def test_an_unknown_level_is_refused() -> None:
    before = logging.getLogger().handlers[:]
    with pytest.raises(ValueError, match="LOUD"):
        configure("loud", io.StringIO())
    assert logging.getLogger().handlers == before


def test_configuring_can_be_undone() -> None:
    root = logging.getLogger()
    before = (root.level, root.handlers[:])
    configure("error", io.StringIO())()
    assert (root.level, root.handlers) == before
