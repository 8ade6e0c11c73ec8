"""What a person reads, in each language: catalogs as package data, one TOML file per language.

Keys are dotted paths into the file; values are `str.format` templates. English is complete; a language that lacks a key
falls back to it (tests see to it that none does).
"""

from naisho.texts.catalog import LANGUAGES, Texts, language_of

__all__ = ["LANGUAGES", "Texts", "language_of"]
