"""What people say survives the way; what they call themselves is cleaned; slips are noticed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from naisho.accounts import lookalike
from naisho.conversation.content import (
    MOST_NAME_BYTES,
    Accepted,
    PutEmoji,
    ReadThese,
    Said,
    Spoken,
    TookBack,
    Wrote,
    clean_name,
    from_content,
    to_content,
)
from naisho.protocol.account import AccountId
from naisho.wire.session.v1.session_pb2 import Content

ACCOUNTS = st.binary(min_size=32, max_size=32).map(lambda key: AccountId.from_bytes(b"\x05" + key))


@given(st.text())
def test_names_are_short_and_printable(name: str) -> None:
    cleaned = clean_name(name)
    assert cleaned.isprintable()
    assert len(cleaned.encode()) <= MOST_NAME_BYTES


names = st.text(alphabet=st.characters(categories=("L", "N")), max_size=20)
times = st.integers(0, 2**62)
spoken: st.SearchStrategy[Spoken] = st.one_of(
    st.builds(Said, st.text(min_size=1, alphabet=st.characters(codec="utf-8")), names, st.none() | ACCOUNTS),
    st.builds(Wrote, st.booleans()),
    st.builds(ReadThese, st.lists(times, min_size=1, max_size=20).map(tuple)),
    st.builds(PutEmoji, ACCOUNTS, times, st.sampled_from("👍❤️🍵"), st.booleans(), st.none() | ACCOUNTS),
    st.builds(TookBack, ACCOUNTS, times),
    st.builds(Accepted, names),
)


@given(spoken, times)
def test_what_is_said_is_heard(said: Spoken, at_ms: int) -> None:
    content = Content()
    content.ParseFromString(to_content(said, at_ms).SerializeToString())
    assert from_content(content) == said


@given(ACCOUNTS, st.integers(2, 65), st.sampled_from("0123456789abcdef"), st.lists(ACCOUNTS, max_size=3))
def test_a_slip_of_one_digit_is_noticed(account: AccountId, at: int, digit: str, others: list[AccountId]) -> None:
    slip = AccountId.parse(account.hex[:at] + digit + account.hex[at + 1 :])
    assert (lookalike(slip, [*others, account]) is None) == (slip == account and not lookalike(slip, others))
