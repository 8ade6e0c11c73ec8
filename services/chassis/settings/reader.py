"""Fill a settings dataclass from TOML and the environment, and report everything that is wrong at once."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from services.chassis.settings.values import BadValue, Secret, convert, without_none

S = TypeVar("S")


class SettingsError(ValueError):
    """The settings cannot be used.

    Attributes:
        problems: one sentence each, all that were found.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("the settings cannot be used:\n" + "\n".join(f"  - {problem}" for problem in problems))
        self.problems = tuple(problems)


class Setting(NamedTuple):
    """One value of the tree: its path of field names, its type, whether it must be given."""

    path: tuple[str, ...]
    kind: Any
    required: bool

    @property
    def plain_kind(self) -> Any:
        """Its type without bounds and without None."""
        kind = without_none(self.kind)
        while get_origin(kind) is Annotated:
            kind = without_none(get_args(kind)[0])
        return kind

    @property
    def is_secret(self) -> bool:
        """Whether a file is named instead of the value."""
        return self.plain_kind is Secret

    @property
    def key(self) -> str:
        """How it is called in TOML, tables joined by dots."""
        return ".".join(self.path) + ("_file" if self.is_secret else "")

    def variable(self, prefix: str) -> str:
        """How it is called in the environment."""
        return "_".join((prefix, *self.path)).upper() + ("_FILE" if self.is_secret else "")

    def read(self, text: str) -> Any:
        """Return the value that a text stands for.

        Raises:
            BadValue: for none; it says what is needed.
        """
        return convert(self.kind, text)


def read_settings(kind: type[S], *, prefix: str, environ: Mapping[str, str], file: Path | None = None) -> S:
    """Read settings.

    Args:
        kind: a frozen dataclass, see the package's docstring for its fields.
        prefix: of the environment variables that count, without its underscore: ``NAISHO_SWARM``. Every variable with
            this prefix must be known.
        environ: the environment.
        file: a TOML file, if any.

    Raises:
        SettingsError: naming every unknown key (with the nearest known one), missing or unusable value.
    """
    problems: list[str] = []
    settings = list(settings_of(kind))
    given: dict[tuple[str, ...], tuple[str, object]] = {}
    in_file = {setting.key: setting for setting in settings}
    in_environment = {setting.variable(prefix): setting for setting in settings}
    variables = {name: value for name, value in environ.items() if name.startswith(prefix.upper() + "_")}
    content = _content(file, settings, problems)
    for known, pairs, where in ((in_file, content, f" in {file}"), (in_environment, variables, "")):
        for name, value in pairs.items():
            if name in known:
                given[known[name].path] = (name + where, value)
            else:
                problems.append(f"{name}{where}: {_unknown(name, known)}")
    values: dict[tuple[str, ...], Any] = {}
    for setting in settings:
        if setting.path in given:
            place, value = given[setting.path]
            try:
                values[setting.path] = convert(setting.kind, value)
            except BadValue as problem:
                problems.append(f"{place}: {problem}")
        elif setting.required:
            problems.append(f"{setting.key} is missing; set it in the file or as {setting.variable(prefix)}")
    if problems:
        raise SettingsError(problems)
    try:
        return _build(kind, (), values)
    except ValueError as problem:  # what a dataclass checks across its fields
        raise SettingsError([str(problem)]) from problem


def settings_of(kind: type, path: tuple[str, ...] = ()) -> Iterator[Setting]:
    """Yield every setting of a dataclass, those of its tables included."""
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        hint = hints[field.name]
        if is_dataclass(hint) and isinstance(hint, type):
            yield from settings_of(hint, (*path, field.name))
        else:
            required = field.default is MISSING and field.default_factory is MISSING
            yield Setting((*path, field.name), hint, required)


def _build(kind: type[S], path: tuple[str, ...], values: Mapping[tuple[str, ...], Any]) -> S:
    hints = get_type_hints(kind)
    arguments: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]  # a dataclass, as everybody here knows
        here = (*path, field.name)
        if is_dataclass(hints[field.name]) and isinstance(hints[field.name], type):
            arguments[field.name] = _build(hints[field.name], here, values)
        elif here in values:
            arguments[field.name] = values[here]
    return kind(**arguments)


def _content(file: Path | None, settings: list[Setting], problems: list[str]) -> dict[str, object]:
    if file is None:
        return {}
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        problems.append(f"{file} cannot be read: {error}")
        return {}
    tables = {".".join(setting.path[:length]) for setting in settings for length in range(1, len(setting.path))}
    return dict(_flatten(content, tables))


def _flatten(table: Mapping[str, Any], tables: set[str], above: str = "") -> Iterator[tuple[str, object]]:
    for name, value in table.items():
        key = above + name
        if isinstance(value, dict) and key in tables:
            yield from _flatten(value, tables, key + ".")
        else:
            yield key, value


def _unknown(name: str, known: Mapping[str, Setting]) -> str:
    if f"{name}_file" in known or f"{name}_FILE" in known:
        return "a secret is not given in plain; name the file that holds it, with _file behind this name"
    nearest = get_close_matches(name, known, n=1, cutoff=0.0)
    return f"there is no such setting; the nearest is {nearest[0]}" if nearest else "there are no settings here"
