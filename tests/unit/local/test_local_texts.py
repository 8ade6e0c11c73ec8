"""The texts of ``naisho network``: every language has every text, with the same values in it."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest

from naisho.texts import LANGUAGES
from naisho.texts.catalog import read_catalog
from operators.local import texts as catalogs

HERE = Path(catalogs.__file__).parent.parent
FORBIDDEN = {"ja": ("送金", "スワーム", "群れ")}


def values_in(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_every_text_and_value(language: str) -> None:
    english = read_catalog("en", catalogs.PACKAGE)
    other = read_catalog(language, catalogs.PACKAGE)
    assert other.keys() == english.keys()
    assert {key: values_in(text) for key, text in other.items()} == {k: values_in(t) for k, t in english.items()}
    assert not [key for key, text in other.items() for word in FORBIDDEN.get(language, ()) if word in text]


def test_every_text_that_the_code_names_exists() -> None:
    english = read_catalog("en", catalogs.PACKAGE)
    named = {
        key
        for file in HERE.glob("*.py")
        for key in re.findall(r'texts\("([a-z_]+\.[a-z_]+)"', file.read_text(encoding="utf-8"))
    }
    assert named
    assert named <= english.keys()
