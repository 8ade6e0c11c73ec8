from __future__ import annotations

import os

import pytest

from services.onion.domain.replay import ReplayFilter


def seen_again(replays: ReplayFilter, key: bytes, ciphertext: bytes, now: float = 0.0) -> bool:
    mark = replays.mark(key, ciphertext)
    if replays.seen(mark):
        return True
    replays.add(mark, now)
    return False


def test_a_layer_is_known_after_it_was_added_only() -> None:
    replays = ReplayFilter(60, 1000)
    mark = replays.mark(b"k" * 32, b"c" * 100)
    assert not replays.seen(mark)
    assert not replays.seen(mark)
    replays.add(mark, 0)
    assert replays.seen(mark)
    assert replays.caught == 1


@pytest.mark.parametrize(
    "changed", [b"K" * 32 + b"c" * 100, b"k" * 32 + b"C" + b"c" * 99, b"k" * 32 + b"c" * 99 + b"C"]
)
def test_another_key_nonce_or_tag_is_another_layer(changed: bytes) -> None:
    replays = ReplayFilter(60, 1000)
    assert not seen_again(replays, b"k" * 32, b"c" * 100)
    assert not seen_again(replays, changed[:32], changed[32:])


def test_two_filters_have_different_marks() -> None:
    assert ReplayFilter(1, 2).mark(b"k" * 32, b"c") != ReplayFilter(1, 2).mark(b"k" * 32, b"c")


def test_short_ciphertexts_have_marks_too() -> None:
    replays = ReplayFilter(60, 1000)
    assert not seen_again(replays, b"k" * 32, b"")
    assert seen_again(replays, b"k" * 32, b"")
    assert not seen_again(replays, b"k" * 32, b"c")


def test_a_layer_is_remembered_for_the_window_and_forgotten_after_two() -> None:
    replays = ReplayFilter(60, 1000)
    assert not seen_again(replays, b"old", b"c", 0)
    assert not seen_again(replays, b"late", b"c", 59)
    assert not seen_again(replays, b"turn", b"c", 61)
    assert seen_again(replays, b"late", b"c", 118)
    assert not seen_again(replays, b"turn again", b"c", 122)
    assert not seen_again(replays, b"old", b"c", 122)


def test_after_a_long_pause_nothing_is_left() -> None:
    replays = ReplayFilter(60, 1000)
    seen_again(replays, b"old", b"c", 0)
    seen_again(replays, b"new", b"c", 1000)
    assert len(replays) == 1


def test_a_flood_shortens_the_window_and_never_grows_memory() -> None:
    replays = ReplayFilter(3600, 100)
    for _ in range(10_000):
        assert not seen_again(replays, os.urandom(32), b"c", 1)
        assert len(replays) <= 100
    recent = os.urandom(32)
    assert not seen_again(replays, recent, b"c", 1)
    for _ in range(49):
        seen_again(replays, os.urandom(32), b"c", 1)
    assert seen_again(replays, recent, b"c", 1)


def test_no_room_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="room"):
        ReplayFilter(60, 1)
