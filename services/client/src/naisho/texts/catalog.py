"""Reading the catalogs and choosing a language."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from importlib import resources

LANGUAGES = ("en", "ja")
FALLBACK = "en"


class Texts:
    """One language's texts.

    >>> Texts.load("ja")("words.and")
    'と'
    >>> Texts.load("en")("errors.no_account.next", profile="default")
    'Make one with: naisho account new, or bring one with: naisho account recover.'
    """

    def __init__(self, language: str, templates: Mapping[str, str]) -> None:
        self.language = language
        self._templates = templates

    @classmethod
    def load(cls, language: str) -> Texts:
        """Return the texts of a language; an unknown one gets English."""
        chosen = language if language in LANGUAGES else FALLBACK
        return cls(chosen, {**read_catalog(FALLBACK), **read_catalog(chosen)})

    def __call__(self, key: str, **values: object) -> str:
        """Return one text with its placeholders filled.

        Raises:
            KeyError: no catalog has the key, or a placeholder has no value.
        """
        return self._templates[key].format_map(values)

    def has(self, key: str) -> bool:
        """Tell whether a text of that key exists."""
        return key in self._templates


@functools.cache
def read_catalog(language: str, package: str = "naisho.texts") -> Mapping[str, str]:
    """Return one catalog of a package as a flat mapping from dotted keys to templates."""
    text = resources.files(package).joinpath(f"{language}.toml").read_text(encoding="utf-8")
    return dict(_flatten(tomllib.loads(text), ""))


def _flatten(table: Mapping[str, object], prefix: str) -> list[tuple[str, str]]:
    flat: list[tuple[str, str]] = []
    for name, value in table.items():
        key = f"{prefix}{name}"
        flat += [(key, value)] if isinstance(value, str) else _flatten(_as_table(value), f"{key}.")
    return flat


def _as_table(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise TypeError("a catalog holds tables and texts only")
    return value


def language_of(environment: Mapping[str, str], override: str | None = None) -> str:
    """Return the language to speak: the override, ``NAISHO_LANG``, or the locale's (SES-31).

    >>> language_of({"LANG": "ja_JP.UTF-8"})
    'ja'
    >>> language_of({"LANG": "ja_JP.UTF-8"}, override="en")
    'en'
    >>> language_of({"LC_ALL": "C", "LANG": "ja_JP.UTF-8"})
    'en'
    """
    for wish in (override, *(environment.get(name) for name in ("NAISHO_LANG", "LC_ALL", "LC_MESSAGES", "LANG"))):
        if wish:
            language = wish.replace("-", "_").split("_")[0].split(".")[0].lower()
            return language if language in LANGUAGES else FALLBACK
    return FALLBACK
