from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.eventlog.jetstream_api import timestamp
from services.chassis.eventlog.jetstream_deliveries import read_deliveries
from services.chassis.eventlog.port import LoggedEvent, LogUnavailable
from services.chassis.eventlog.subjects import check_patterns, matcher

token = st.sampled_from(["a", "b", "c"])
subject = st.lists(token, min_size=1, max_size=4).map(".".join)
pattern = st.lists(st.sampled_from(["a", "b", "c", "*"]), min_size=1, max_size=3).flatmap(
    lambda tokens: st.sampled_from([".".join(tokens), ".".join([*tokens, ">"])])
)


def matches(pattern: str, subject: str) -> bool:
    """The rule of NATS, spelled out token by token."""
    wanted, found = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        return len(found) >= len(wanted) and all(
            want in ("*", have) for want, have in zip(wanted[:-1], found, strict=False)
        )
    return len(found) == len(wanted) and all(want in ("*", have) for want, have in zip(wanted, found, strict=True))


@given(st.lists(pattern, min_size=1, max_size=3), subject)
def test_patterns_match_as_nats_does(patterns: list[str], subject: str) -> None:
    assert matcher(patterns)(subject) == any(matches(pattern, subject) for pattern in patterns)


@given(pattern, pattern, st.lists(subject, max_size=30))
def test_patterns_that_may_be_followed_together_match_nothing_twice(one: str, other: str, subjects: list[str]) -> None:
    try:
        check_patterns([one, other])
    except ValueError:
        return
    assert not any(matches(one, subject) and matches(other, subject) for subject in subjects)


def delivery(sequence: int, consumer: int, pending: int, *, form: str) -> tuple[bytes, bytes, bytes]:
    reply = form % f"1.{sequence}.{consumer}.{sequence * 10}.{pending}"
    return b"n.a", reply.encode(), b"payload %d" % sequence


@pytest.mark.parametrize("form", ["$JS.ACK.S.c.%s", "$JS.ACK.hub.acc0unt.S.c.%s", "$JS.ACK.hub.acc0unt.S.c.%s.rnd"])
def test_both_forms_of_deliveries_are_read(form: str) -> None:
    unread = [part for at in range(3) for part in delivery(10 + 5 * at, 4 + at, 2 - at, form=form)]
    read = read_deliveries(unread, 3)
    assert read.events == [
        LoggedEvent(sequence, "n.a", b"payload %d" % sequence, sequence * 10) for sequence in (10, 15, 20)
    ]
    assert all(type(event) is LoggedEvent for event in read.events)
    assert (read.last, read.pending, read.gap) == (6, 0, False)


@pytest.mark.parametrize("form", ["$JS.ACK.S.c.%s", "$JS.ACK.hub.acc0unt.S.c.%s", "$JS.ACK.hub.acc0unt.S.c.%s.rnd"])
def test_a_delivery_that_comes_alone_says_the_same(form: str) -> None:
    read = read_deliveries(delivery(10, 4, 7, form=form), 3)
    assert read.events == [LoggedEvent(10, "n.a", b"payload 10", 100)]
    assert type(read.events[0]) is LoggedEvent
    assert (read.last, read.pending, read.gap) == (4, 7, False)


@pytest.mark.parametrize(
    ("consumers", "good"), [([1, 2, 4], 2), ([2, 3], 0), ([1, 1], 1), ([1, 3, 2], 1), ([5], 0), ([1, 2], 2)]
)
def test_deliveries_are_read_up_to_the_first_gap(consumers: list[int], good: int) -> None:
    unread = [
        part
        for sequence, consumer in enumerate(consumers, 1)
        for part in delivery(sequence, consumer, 9 - sequence, form="$JS.ACK.S.c.%s")
    ]
    read = read_deliveries(unread, 0)
    assert [event.sequence for event in read.events] == list(range(1, good + 1))
    assert read.last == good
    assert read.gap == (good < len(consumers))
    assert read.pending == (9 - good if good else 0)


@pytest.mark.parametrize("reply", [b"x", b"$JS.ACK.S.c.1.a.1.1.1", b"$JS.ACK.S.c.1.1.1.1"])
def test_deliveries_that_cannot_be_read_are_refused(reply: bytes) -> None:
    with pytest.raises(LogUnavailable):
        read_deliveries([b"n.a", reply, b""], 0)


@given(st.integers(0, 4_000_000_000_000_000_000))
def test_times_are_written_to_the_nanosecond(time_ns: int) -> None:
    text = timestamp(time_ns)
    assert text.endswith(f".{time_ns % 1_000_000_000:09d}Z")
    assert len(text) == len("1970-01-01T00:00:00.000000000Z")
