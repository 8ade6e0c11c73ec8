"""The file that a newcomer joins with."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from naisho.protocol.grade import Grade
from naisho.protocol.network_file import NetworkFile, NetworkFileError, parse, render

NETWORK = NetworkFile(
    network_id="n-3f9c2a",
    root_keys=(b"\x01" * 32, b"\x02" * 32),
    root_threshold=2,
    seeds=("http://127.0.0.1:8080", "https://seed.example:443", "http://[2001:db8::1]:80"),
    lowest_grade=Grade.INDEPENDENT,
    name="小さな網",
    simulated=True,
)


def test_a_rendered_file_reads_back_the_same() -> None:
    assert parse(render(NETWORK)) == NETWORK
    assert parse(render(NETWORK).encode()) == NETWORK


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"naisho_network": 2}, "version 1"),
        ({"network_id": "N-1"}, "network_id"),
        ({"network_id": "n-"}, "network_id"),
        ({"network_id": 7}, "network_id"),
        ({"root_keys": []}, "root_keys"),
        ({"root_keys": ["AA" * 32]}, "root_keys"),
        ({"root_keys": ["01" * 32, "01" * 32]}, "root_keys"),
        ({"root_keys": "01" * 32}, "root_keys"),
        ({"root_threshold": 0}, "1 to 2"),
        ({"root_threshold": 3}, "1 to 2"),
        ({"root_threshold": True}, "1 to 2"),
        ({"seeds": ["ftp://a:1"]}, "seeds"),
        ({"seeds": ["http://a"]}, "seeds"),
        ({"seeds": ["http://a:1/"]}, "seeds"),
        ({"seeds": ["http://a:0"]}, "seeds"),
        ({"seeds": ["http://a:99999"]}, "seeds"),
        ({"seeds": ["http://u@a:1"]}, "seeds"),
        ({"seeds": ["http://a:1?q"]}, "seeds"),
        ({"seeds": [1]}, "seeds"),
        ({"seeds": ["http://a:1"] * 65}, "seeds"),
        ({"lowest_grade": "best"}, "single-operator, independent"),
        ({"lowest_grade": 1}, "single-operator, independent"),
        ({"name": "x" * 65}, "name"),
        ({"name": "a\x1bb"}, "name"),
        ({"simulated": "yes"}, "true or false"),
        ({"surprise": 1}, "unknown fields: 'surprise'"),
    ],
)
def test_a_wrong_field_is_named_with_what_would_be_right(changes: dict[str, Any], complaint: str) -> None:
    data = json.loads(render(NETWORK)) | changes
    with pytest.raises(NetworkFileError, match=complaint):
        parse(json.dumps(data))


@pytest.mark.parametrize("field", sorted(json.loads(render(NETWORK))))
def test_a_missing_field_is_named(field: str) -> None:
    data = json.loads(render(NETWORK))
    del data[field]
    with pytest.raises(NetworkFileError, match=field):
        parse(json.dumps(data))


@pytest.mark.parametrize("text", ["", "[]", "7", "{", "nul", "[" * 60_000, "x" * 70_000, b"\xff\xfe"])
def test_what_is_no_network_file_at_all(text: str | bytes) -> None:
    with pytest.raises(NetworkFileError):
        parse(text)


def test_what_nobody_would_accept_is_not_rendered() -> None:
    with pytest.raises(NetworkFileError, match="root_keys"):
        render(replace(NETWORK, root_keys=(b"short",)))
