"""Every error explains itself, in every language, without telling a log what it must not know."""

from __future__ import annotations

import inspect
import re
from string import Formatter

import pytest

import naisho.errors as module
from naisho.errors import InputError, NaishoError, NoAccount, PathBroken
from naisho.texts import LANGUAGES, Texts

KINDS = [kind for _, kind in inspect.getmembers(module, inspect.isclass) if issubclass(kind, NaishoError)]
LEAVES = [kind for kind in KINDS if not kind.__subclasses__() and kind is not NaishoError]


def example(kind: type[NaishoError]) -> NaishoError:
    return kind(**{name: 7 if name in {"status", "left"} else f"<{name}>" for name in kind.fields})


@pytest.mark.parametrize("kind", LEAVES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_why_and_next_are_sentences_without_line_breaks(kind: type[NaishoError], language: str) -> None:
    explanation = example(kind).explain(language)
    for part in explanation:
        assert part
        assert "\n" not in part
        assert "{" not in part
    if language == "ja":
        assert re.search(r"[ぁ-んァ-ヶ一-龠]", explanation.what + explanation.next)


@pytest.mark.parametrize("kind", LEAVES)
def test_every_detail_is_told_and_nothing_else_is_asked_for(kind: type[NaishoError]) -> None:
    texts = Texts.load("en")
    used = {
        field
        for part in ("what", "why", "next")
        for _, field, _, _ in Formatter().parse(texts._templates[f"errors.{kind.code}.{part}"])
        if field
    }
    assert used <= set(kind.fields)
    assert set(kind.fields) - used <= {"tried"}


def test_the_tree_is_drawn_completely() -> None:
    drawn = module.__doc__ or ""
    lines = {
        match[2]: len(match[1]) // 4
        for match in re.finditer(r"^([│ ]*[├└]── )?([A-Z]\w+)(?= |$)", drawn, re.MULTILINE)
        if match[1]
    }
    assert set(lines) == {kind.__name__ for kind in KINDS} - {"NaishoError"}
    for kind in KINDS:
        if kind is not NaishoError:
            assert lines[kind.__name__] == len([base for base in kind.__mro__ if issubclass(base, NaishoError)]) - 1


def test_wrong_input_is_a_value_error() -> None:
    assert all(issubclass(kind, ValueError) for kind in KINDS if issubclass(kind, InputError))


def test_details_are_checked() -> None:
    with pytest.raises(TypeError):
        NoAccount()
    with pytest.raises(TypeError):
        NoAccount(profile="p", more="x")
    assert "“p”" in str(NoAccount(profile="p"))
    assert PathBroken(status=502, reason="Next node not found").details == {
        "status": 502,
        "reason": "Next node not found",
    }


def test_codes_are_names_that_programs_can_rely_on() -> None:
    codes = [kind.code for kind in LEAVES]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z_]+", code) for code in codes)
