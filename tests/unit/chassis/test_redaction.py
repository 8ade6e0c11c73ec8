from __future__ import annotations

import copy
import json
import pickle
from dataclasses import dataclass

import orjson
import pytest

from services.chassis.redaction import Redacted

SECRET = "05" + "ab" * 32


@dataclass
class Holder:
    account: Redacted[str]


@pytest.mark.parametrize(
    "printed",
    [
        repr(Redacted(SECRET)),
        str(Redacted(SECRET)),
        f"{Redacted(SECRET)}",
        f"{Redacted(SECRET):>80}",
        f"{Redacted(SECRET)!r:.200}",
        "%s %r" % (Redacted(SECRET), Redacted(SECRET)),  # noqa: UP031 - logging does it so
        "{}".format(Redacted(SECRET)),  # noqa: UP032 - and others so
        repr(Holder(Redacted(SECRET))),
        repr([Redacted(SECRET)]),
        json.dumps({"account": Redacted(SECRET)}, default=str),
        orjson.dumps({"account": Redacted(SECRET)}, default=str).decode(),
    ],
)
def test_however_it_is_printed_it_is_redacted(printed: str) -> None:
    assert "[redacted]" in printed
    assert SECRET not in printed
    assert "abab" not in printed


def test_only_reveal_gives_the_value() -> None:
    assert Redacted(SECRET).reveal() == SECRET


@pytest.mark.parametrize("serialise", [json.dumps, orjson.dumps, pickle.dumps, copy.deepcopy, vars])
def test_nothing_serialises_it(serialise: object) -> None:
    with pytest.raises(TypeError):
        serialise(Redacted(SECRET))  # type: ignore[operator]


def test_equality_and_hash_are_those_of_the_value() -> None:
    assert Redacted("a") == Redacted("a") != Redacted("b")
    assert Redacted(b"a") == Redacted(b"a") != Redacted(b"b")
    assert len({Redacted("a"), Redacted("a"), Redacted("b")}) == 2
    assert Redacted("a") != "a"
