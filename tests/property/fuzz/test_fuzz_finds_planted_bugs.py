"""The engine finds bugs: planted in a copy of a parser, it names the input that stumbles over them."""

from __future__ import annotations

import importlib
import inspect
import sys
import time
from collections.abc import Callable
from functools import partial
from types import ModuleType

import pytest

from naisho.protocol.errors import ProtocolError

ROUTE = b'\x04\0\0\0blob{"host":"h.example","target":"/oxen/v4/lsrpc","port":80,"protocol":"http"}'
REQUEST = b'l41:{"method":"GET","endpoint":"/","headers":{}}e'


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, str], ModuleType]:
    """Return a maker of modules: another's source with one place changed."""
    return partial(plant, monkeypatch)


def plant(monkeypatch: pytest.MonkeyPatch, module_name: str, original: str, wrong: str) -> ModuleType:
    source = inspect.getsource(importlib.import_module(module_name))
    assert source.count(original) == 1, original
    module = ModuleType(f"planted_{module_name.rpartition('.')[2]}")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # dataclasses look their module up
    exec(compile(source.replace(original, wrong), module.__name__, "exec"), module.__dict__)
    return module


def both_ways(module: ModuleType) -> Callable[[bytes], None]:
    def parse(raw: bytes) -> None:
        assert module.encode(module.decode(raw)) == raw

    return parse


PLANTED: dict[str, tuple[str, str, str, Callable[[ModuleType], Callable[[bytes], object]], list[bytes]]] = {
    "a number that is written in two ways": (
        *("naisho.protocol.bencode", '(unsigned[0] != _ZERO or digits == b"0")', "True"),
        both_ways,
        [b"d1:ai5e1:bl4:texti-3eee"],
    ),
    "nesting without a bound": (
        *("naisho.protocol.bencode", "if depth >= MAX_DEPTH:", "if depth >= 10_000:"),
        lambda module: module.decode,
        [b"l" * 300 + b"e" * 300],
    ),
    "a type that is not checked": (
        *("naisho.protocol.onion.routing", "if not isinstance(port, int) or", "if"),
        lambda module: module.decode_route,
        [ROUTE],
    ),
    "an error of a library that escapes": (
        *("naisho.protocol.onion.v4", "except orjson.JSONDecodeError:", "except KeyError:"),
        lambda module: module.decode_request,
        [REQUEST],
    ),
    "a short input": (
        *("naisho.protocol.onion.framing", "if not _LENGTH.size <= len(data)", "if not 0 <= len(data)"),
        lambda module: module.decode,
        [ROUTE],
    ),
}


@pytest.fixture(autouse=True)
def _few_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAISHO_FUZZ_INPUTS", "30000")


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_found(
    bug: str, fuzz: Callable[..., None], planted: Callable[[str, str, str], ModuleType]
) -> None:
    module_name, original, wrong, parser, seeds = PLANTED[bug]
    module = planted(module_name, original, wrong)
    with pytest.raises(pytest.fail.Exception, match=r"at input \d+ of seed") as found:
        fuzz(bug, parser(module), seeds, (ProtocolError,))
    print(str(found.value)[:300])


@pytest.mark.parametrize("bug", PLANTED)
def test_the_same_copy_without_the_bug_passes(
    bug: str, fuzz: Callable[..., None], planted: Callable[[str, str, str], ModuleType]
) -> None:
    module_name, original, _, parser, seeds = PLANTED[bug]
    fuzz(bug, parser(planted(module_name, original, original)), seeds, (ProtocolError,))


def test_a_parser_that_hangs_is_found(fuzz: Callable[..., None]) -> None:
    def slow(raw: bytes) -> None:
        if b"[[" in raw:
            began = time.thread_time()
            while time.thread_time() - began < 1.2:
                pass

    with pytest.raises(pytest.fail.Exception, match="of CPU for input"):
        fuzz("slow", slow, [b"[1]"], ())
