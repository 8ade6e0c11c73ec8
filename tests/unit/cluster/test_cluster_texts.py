"""The texts of ``naisho cluster``: every language has every text, with the same values, and the code names no other."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest

from naisho.texts import LANGUAGES
from naisho.texts.catalog import read_catalog
from operators.cluster import errors
from operators.cluster import texts as catalogs

HERE = Path(catalogs.__file__).parent.parent
FORBIDDEN = {"ja": ("送金", "スワーム", "群れ")}
KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ClusterError)]
LEAVES = [kind for kind in KINDS if kind is not errors.ClusterError]


def values_in(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_every_text_and_value(language: str) -> None:
    english = read_catalog("en", catalogs.PACKAGE)
    other = read_catalog(language, catalogs.PACKAGE)
    assert other.keys() == english.keys()
    assert {key: values_in(text) for key, text in other.items()} == {k: values_in(t) for k, t in english.items()}
    assert not [key for key, text in other.items() for word in FORBIDDEN.get(language, ()) if word in text]


def test_every_text_that_the_code_names_exists_and_no_other_fact_column_or_finding() -> None:
    english = read_catalog("en", catalogs.PACKAGE)
    code = "".join(file.read_text(encoding="utf-8") for file in HERE.glob("*.py"))
    named = set(re.findall(r'texts\("([a-z_]+\.[a-z_]+)"', code))
    assert named
    assert named <= english.keys()
    for key in english:
        table, _, name = key.partition(".")
        if table in {"facts", "columns", "test", "problems", "warnings"}:
            assert f'"{name}"' in code or f'f"{{part}}_{name.rpartition("_")[2]}"' in code or key in named, key


@pytest.mark.parametrize("kind", LEAVES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_error_says_what_happened_why_and_what_to_do(kind: type[errors.ClusterError], language: str) -> None:
    error = kind(**{field: f"<{field}>" for field in kind.fields})
    explanation = error.explain(language)
    assert all(explanation)
    assert all(any(f"<{field}>" in part for part in explanation) for field in kind.fields)


def test_the_drawn_tree_is_the_tree() -> None:
    assert errors.__doc__ is not None
    drawn = re.findall(r"^[├└]── (\w+)", errors.__doc__, re.MULTILINE)
    assert drawn == [kind.__name__ for kind in LEAVES]
