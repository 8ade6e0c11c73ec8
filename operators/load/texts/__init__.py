"""The texts of ``naisho load`` in every language, as TOML catalogs beside this file."""

from __future__ import annotations

from naisho.texts import Texts
from naisho.texts.catalog import FALLBACK, read_catalog

PACKAGE = "operators.load.texts"


def load(language: str) -> Texts:
    """Return the texts of a language; an unknown one gets English."""
    return Texts(language, {**read_catalog(FALLBACK, PACKAGE), **read_catalog(language, PACKAGE)})
