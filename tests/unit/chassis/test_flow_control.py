"""How much each end of a stream may send."""

from __future__ import annotations

from services.chassis.http2.flow import Allowance, Window


def test_a_window_is_the_least_of_connection_stream_and_frame() -> None:
    window = Window()
    assert window.available == 16_384
    window.frame = 2**20
    assert window.available == 65_535
    assert window.begin_with(100)
    assert window.available == 100
    window.use(60)
    assert window.available == 40
    assert window.begin_with(50)  # less than was sent already: the window becomes negative
    assert window.available == 0
    assert window.widen(1, 30)
    assert window.available == 20
    assert window.widen(1, 10**6)
    assert window.available == 65_475
    assert window.widen(0, 10**6)
    assert window.available == 1_000_020


def test_a_window_too_wide_is_refused() -> None:
    assert not Window().widen(0, 2**31 - 1)
    assert not Window().widen(1, 2**31 - 1)
    assert not Window().widen(1, 0)
    window = Window()
    assert window.widen(1, 2**30)
    assert not window.begin_with(2**31 - 1)


def test_an_allowance_is_renewed_when_half_of_it_is_used() -> None:
    allowance = Allowance()
    assert allowance.take(Allowance.FULL // 2 - 1)
    assert allowance.renew() == 0
    assert allowance.take(1)
    assert allowance.renew() == Allowance.FULL // 2
    assert allowance.take(Allowance.FULL)
    assert not allowance.take(1)
