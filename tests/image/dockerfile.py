"""Read a Dockerfile as far as ours goes: instructions, continued lines, comments, arguments with defaults."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Instruction(NamedTuple):
    """One instruction, with the arguments' defaults put in."""

    #: In capitals.
    name: str
    #: What follows, with continued lines joined.
    value: str

    @property
    def words(self) -> list[str]:
        """Return what follows, split as a shell does."""
        return shlex.split(self.value)


class Stage(NamedTuple):
    """What follows one FROM."""

    base: str
    name: str
    instructions: tuple[Instruction, ...]

    def all(self, name: str) -> list[Instruction]:
        """Return the stage's instructions of one kind."""
        return [instruction for instruction in self.instructions if instruction.name == name]

    def one(self, name: str) -> Instruction:
        """Return the stage's only instruction of one kind."""
        (found,) = self.all(name)
        return found

    def pairs(self, name: str) -> dict[str, str]:
        """Return what the stage's ENV or LABEL instructions set."""
        found: dict[str, str] = {}
        for instruction in self.all(name):
            for word in instruction.words:
                key, equals, value = word.partition("=")
                assert equals, word
                found[key] = value
        return found


def stages(text: str) -> list[Stage]:
    """Return a Dockerfile's stages in order."""
    joined = re.sub(r"\\\n", " ", "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#")))
    defaults: dict[str, str] = {}
    found: list[Stage] = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        name, _, rest = line.partition(" ")
        value = re.sub(r"\$\{(\w+)\}", lambda match: defaults[match[1]], re.sub(r"\s+", " ", rest.strip()))
        if name.upper() == "ARG":
            argument, _, default = value.partition("=")
            defaults[argument] = default
        elif name.upper() == "FROM":
            base, _, called = value.partition(" AS ")
            found.append(Stage(base, called, ()))
        else:
            found[-1] = found[-1]._replace(instructions=(*found[-1].instructions, Instruction(name.upper(), value)))
    return found


def ours() -> list[Stage]:
    """Return the stages of the Dockerfile of this tree."""
    return stages((ROOT / "Dockerfile").read_text(encoding="utf-8"))
