from __future__ import annotations

import asyncio

import pytest

from services.chassis.eventlog.port import EventTooLarge, LogFull, LogUnavailable, WrongExpectedSequence
from tests.contract.eventlog.conftest import EVENT_LIMIT, SOON_S, Stage

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])


async def test_sequences_start_at_one_and_grow(stage: Stage) -> None:
    log = await stage.log()
    assert [await log.append(f"{stage.net}.a", b"x") for _ in range(3)] == [1, 2, 3]


async def test_pipelined_appends_keep_their_order(stage: Stage) -> None:
    log = await stage.log()
    appends = [log.append(f"{stage.net}.a.{number % 7}", b"%d" % number) for number in range(500)]
    sequences = await asyncio.gather(*appends)
    assert sequences == list(range(1, 501))
    assert [(await log.read(sequence)).payload for sequence in (1, 250, 500)] == [b"0", b"249", b"499"]  # type: ignore[union-attr]  # read below


async def test_an_event_comes_back_as_it_was_appended(stage: Stage) -> None:
    log = await stage.log()
    subject, payload = f"{stage.net}.swarm.0f.{'ab' * 16}", bytes(range(256)) * 4 + b"\r\nMSG x 1 1\r\n"
    sequence = await log.append(subject, payload, ttl_s=3600)
    event = await log.read(sequence)
    assert event is not None
    assert (event.sequence, event.subject, event.payload) == (sequence, subject, payload)
    assert event == await log.last(subject)


async def test_an_empty_payload_is_an_event(stage: Stage) -> None:
    log = await stage.log()
    event = await log.read(await log.append(f"{stage.net}.a", b""))
    assert event is not None
    assert event.payload == b""


async def test_the_expected_sequence_lets_the_right_append_pass(stage: Stage) -> None:
    log = await stage.log()
    first = await log.append(f"{stage.net}.a", b"1", expected=0)
    await log.append(f"{stage.net}.b", b"other")
    assert await log.append(f"{stage.net}.a", b"2", expected=first) == 3


async def test_a_wrong_expected_sequence_names_the_right_one_and_stores_nothing(stage: Stage) -> None:
    log = await stage.log()
    first = await log.append(f"{stage.net}.a", b"1")
    for wrong in (0, 17):
        with pytest.raises(WrongExpectedSequence) as refused:
            await log.append(f"{stage.net}.a", b"2", expected=wrong)
        assert refused.value.actual == first
    with pytest.raises(WrongExpectedSequence) as refused:
        await log.append(f"{stage.net}.fresh", b"2", expected=first)
    assert refused.value.actual == 0
    assert (await log.identity()).last_sequence == first


async def test_of_many_writers_that_expect_the_same_one_wins_each_time(stage: Stage) -> None:
    logs = [await stage.log() for _ in range(4)]
    winners: list[int] = []
    expected = 0
    for _ in range(10):
        results = await asyncio.gather(
            *(log.append(f"{stage.net}.a", b"w%d" % which, expected=expected) for which, log in enumerate(logs)),
            return_exceptions=True,
        )
        won = [result for result in results if isinstance(result, int)]
        lost = [result for result in results if isinstance(result, WrongExpectedSequence)]
        assert len(won) == 1
        assert len(lost) == len(logs) - 1
        assert {refused.actual for refused in lost} == {won[0]}
        expected = won[0]
        winners += won
    assert winners == list(range(1, 11))


async def test_the_last_event_of_a_subject_is_that_very_subjects(stage: Stage) -> None:
    log = await stage.log()
    await log.append(f"{stage.net}.a", b"1")
    second = await log.append(f"{stage.net}.a", b"2")
    await log.append(f"{stage.net}.a.b", b"3")
    last = await log.last(f"{stage.net}.a")
    assert last is not None
    assert (last.sequence, last.payload) == (second, b"2")
    assert await log.last(f"{stage.net}.none") is None


@pytest.mark.parametrize("sequence", [0, -1, 1, 99])
async def test_reading_what_never_was_answers_none(stage: Stage, sequence: int) -> None:
    log = await stage.log()
    assert await log.read(sequence) is None


async def test_first_since_finds_the_first_event_at_or_after_a_time(stage: Stage) -> None:
    log = await stage.log()
    assert await log.first_since(0) is None
    for number in range(3):
        await log.append(f"{stage.net}.{number}", b"x")
    events = [await log.read(sequence) for sequence in (1, 2, 3)]
    for event in events:
        assert event is not None
        found = await log.first_since(event.time_ns)
        assert found == event
        after = await log.first_since(event.time_ns + 1)
        assert (after.sequence if after else 4) == event.sequence + 1
    assert (await log.first_since(0)) == events[0]


async def test_the_identity_is_the_logs_and_not_the_connections(stage: Stage) -> None:
    one, other = await stage.log(), await stage.log()
    before = await one.identity()
    assert before.last_sequence == 0
    await other.append(f"{stage.net}.a", b"x")
    after = await one.identity()
    assert after.incarnation == before.incarnation == (await other.identity()).incarnation
    assert after.last_sequence == 1


async def test_an_event_beyond_the_limit_is_refused_before_it_is_sent(stage: Stage) -> None:
    log = await stage.log()
    with pytest.raises(EventTooLarge) as refused:
        await log.append(f"{stage.net}.a", bytes(EVENT_LIMIT + 1))
    assert refused.value.limit == EVENT_LIMIT
    assert await log.append(f"{stage.net}.a", bytes(EVENT_LIMIT)) == 1


@pytest.mark.parametrize("max_bytes", [100_000])
async def test_a_full_log_refuses_and_drops_nobodys_events(stage: Stage) -> None:
    log = await stage.log()
    appends = [log.append(f"{stage.net}.{number}", bytes(1000)) for number in range(200)]
    results = await asyncio.gather(*appends, return_exceptions=True)
    stored = sum(isinstance(result, int) for result in results)
    assert all(isinstance(result, LogFull) for result in results[stored:])
    assert 50 < stored < 100
    assert await log.read(1) is not None
    assert (await log.identity()).last_sequence == stored
    assert await log.erase(1)
    assert await log.append(f"{stage.net}.again", bytes(900)) == stored + 1, "freed space is used again"


async def test_appends_beyond_the_bound_in_flight_fail_at_once_and_say_that_nothing_was_sent(stage: Stage) -> None:
    log = await stage.log(in_flight=10)
    appends = [log.append(f"{stage.net}.a", b"x") for _ in range(30)]
    results = await asyncio.gather(*appends, return_exceptions=True)
    refused = [result for result in results if isinstance(result, LogUnavailable)]
    assert len(refused) == 20
    assert not any(refusal.maybe_stored for refusal in refused)
    assert (await log.identity()).last_sequence == 10
    assert await log.append(f"{stage.net}.a", b"x") == 11


@pytest.mark.parametrize("subject", ["", ".", "a..b", "a.", "a.*", "a.>", "a b", "a\r\nPUB x 0\r\n", "ä", "$JS.API.x"])
async def test_a_malformed_subject_is_refused_by_the_call(stage: Stage, subject: str) -> None:
    log = await stage.log()
    with pytest.raises(ValueError, match="subject"):
        log.append(subject, b"x")


async def test_impossible_numbers_are_refused_by_the_call(stage: Stage) -> None:
    log = await stage.log()
    with pytest.raises(ValueError, match="expected"):
        log.append(f"{stage.net}.a", b"x", expected=-1)
    with pytest.raises(ValueError, match="time to live"):
        log.append(f"{stage.net}.a", b"x", ttl_s=0)


async def test_an_event_expires_after_its_time_to_live_and_frees_its_subject(stage: Stage) -> None:
    log = await stage.log()
    await log.append(f"{stage.net}.short", b"s", ttl_s=1)
    await log.append(f"{stage.net}.long", b"l", ttl_s=3600)
    await log.append(f"{stage.net}.forever", b"f")
    assert await log.read(1) is not None
    async with asyncio.timeout(SOON_S):
        while await log.read(1) is not None:
            await stage.pass_time(0.1)
    assert await log.last(f"{stage.net}.short") is None
    assert await log.append(f"{stage.net}.short", b"again", expected=0) == 4
    assert await log.read(2) is not None
    assert await log.read(3) is not None
    assert (await log.identity()).last_sequence == 4


async def test_an_erased_event_is_gone_and_its_sequence_is_not_given_again(stage: Stage) -> None:
    log = await stage.log()
    await log.append(f"{stage.net}.a", b"1")
    await log.append(f"{stage.net}.a", b"2")
    assert await log.erase(2)
    assert not await log.erase(2), "it is gone already"
    assert not await log.erase(77), "it never was"
    assert not await log.erase(0)
    assert await log.read(2) is None
    last = await log.last(f"{stage.net}.a")
    assert last is not None
    assert last.sequence == 1
    assert await log.append(f"{stage.net}.a", b"3", expected=1) == 3


async def test_a_closed_log_takes_no_more(stage: Stage) -> None:
    log = await stage.log()
    written = [log.append(f"{stage.net}.a", b"x") for _ in range(5)]
    await log.close()
    assert [append.result() for append in written] == [1, 2, 3, 4, 5], "close waits for what was written"  # type: ignore[attr-defined]  # both adapters return futures
    with pytest.raises(LogUnavailable) as refused:
        await log.append(f"{stage.net}.a", b"x")
    assert not refused.value.maybe_stored
