"""The catalogs agree, say nothing forbidden, and hold every text that the command line shows."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from string import Formatter

import pytest

import naisho.cli
from naisho.texts import LANGUAGES, Texts, language_of
from naisho.texts.catalog import read_catalog

CLI = sorted(Path(naisho.cli.__file__).parent.rglob("*.py"))
#: Words that a reader would take for something else (the first is "sending money" for "sending").
FORBIDDEN = {
    "ja": (
        "送金",
        "振込",
        "送付金",
        "団体",
        "招待状",
        "ディレクトリサービス",
        "警備員",
        "セッション",
        "タマネギ",
        "玉ねぎ",
    ),
    "en": ("guard node", "session id", "seed phrase", "mnemonic", "server sees", "circuit"),
}
SHOWING = {"say", "note", "secho", "echo", "prompt", "working", "table", "section"}


def fields(template: str) -> set[str]:
    return {field for _, field, _, _ in Formatter().parse(template) if field is not None}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_keys_and_placeholders(language: str) -> None:
    english, other = read_catalog("en"), read_catalog(language)
    assert english.keys() == other.keys()
    assert {key: fields(text) for key, text in english.items()} == {key: fields(text) for key, text in other.items()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_holds_a_forbidden_translation(language: str) -> None:
    for key, text in read_catalog(language).items():
        assert not [word for word in FORBIDDEN[language] if word in text.lower()], key


def test_japanese_is_japanese() -> None:
    same = {key for key, text in read_catalog("ja").items() if text == read_catalog("en")[key]}
    assert same <= {"errors.bad_recovery_words.why", "errors.bad_network_file.why", "errors.swarm_unreachable.why",
                    "errors.directory_refused.why", "errors.broken_plugin.why", "errors.unexpected.why",
                    "listen.text", "history.line"}  # fmt: skip
    for key, text in read_catalog("ja").items():
        assert key in same or re.search(r"[ぁ-んァ-ヶ一-龠]", text), key


def test_the_language_follows_the_locale_and_can_be_overridden() -> None:
    assert language_of({"LANG": "ja_JP.UTF-8"}) == "ja"
    assert language_of({"LANG": "ja_JP.UTF-8", "LC_ALL": "en_US.UTF-8"}) == "en"
    assert language_of({"LANG": "de_DE.UTF-8"}) == "en"
    assert language_of({}) == "en"
    assert language_of({"LANG": "en_US", "NAISHO_LANG": "ja"}) == "ja"
    assert language_of({"NAISHO_LANG": "ja"}, override="en") == "en"
    assert language_of({"LANGUAGE": "x", "LC_MESSAGES": "ja"}) == "ja"
    assert Texts.load("tlh").language == "en"


@pytest.mark.parametrize("path", CLI, ids=lambda path: path.stem)
def test_no_words_stand_in_the_code(path: Path) -> None:
    """What is shown, and what help says, comes from the catalogs; only signs and commands stand in the code."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        shown = list(node.args[:1]) if name in SHOWING else []
        shown += [
            keyword.value for keyword in node.keywords if keyword.arg in {"help", "short_help", "epilog", "metavar"}
        ]
        for value in shown:
            for part in ast.walk(value):
                if isinstance(part, ast.Call | ast.Subscript):
                    break  # a text, or something put into one
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    assert not re.search(r"[A-Za-z]{3,}", part.value.replace("naisho", "")), (path.name, part.value)


@pytest.mark.parametrize("path", CLI, ids=lambda path: path.stem)
def test_every_text_that_the_code_asks_for_exists_and_gets_its_values(path: Path) -> None:
    catalog = read_catalog("en")
    for node in ast.walk(ast.parse(path.read_text())):
        called = getattr(node, "func", None)
        if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
            continue
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        if name in {"texts", "_texts"}:
            key = str(node.args[0].value)
            assert key in catalog, (path.name, key)
            assert fields(catalog[key]) == {keyword.arg for keyword in node.keywords}, (path.name, key)
