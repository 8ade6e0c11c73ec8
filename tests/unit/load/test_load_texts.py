"""The texts of ``naisho load``: every language has every text, with the same values in it."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import click
import pytest

from naisho.texts import LANGUAGES, Texts
from naisho.texts.catalog import read_catalog
from operators.load import errors
from operators.load import texts as catalogs
from operators.load.command import load
from operators.load.mix import Operation

HERE = Path(catalogs.__file__).parent.parent


def values_in(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_every_text_and_value(language: str) -> None:
    english = read_catalog("en", catalogs.PACKAGE)
    other = read_catalog(language, catalogs.PACKAGE)
    assert other.keys() == english.keys()
    assert {key: values_in(text) for key, text in other.items()} == {k: values_in(t) for k, t in english.items()}


def test_every_text_that_the_code_names_exists() -> None:
    english = read_catalog("en", catalogs.PACKAGE)
    sources = [*HERE.glob("*.py"), HERE / "page.html.j2"]
    named = {
        key
        for file in sources
        for key in re.findall(r'\b(?:texts|t)\("([a-z_]+\.[a-z_]*[a-z])"', file.read_text(encoding="utf-8"))
    }
    named |= {f"operations.{operation}" for operation in Operation}
    named |= {f"errors.{kind.__name__}" for kind in (errors.NotJoined, errors.GeneratorFailed)}
    assert len(named) > 30
    assert named <= english.keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_option_is_explained(language: str) -> None:
    command = load(Texts.load(language))
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert len(options) > 15
    assert all(option.help for option in options)
