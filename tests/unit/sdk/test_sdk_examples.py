"""Examples in docstrings and in the README are run."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import pkgutil
import re
from pathlib import Path

import pytest

import naisho

README = Path(naisho.__file__).parents[2] / "README.md"
MODULES = [
    module.name
    for module in pkgutil.walk_packages(naisho.__path__, "naisho.")
    if not module.name.startswith(("naisho.protocol", "naisho.wire"))
]
WITH_EXAMPLES = {"naisho", "naisho.accounts", "naisho.client", "naisho.conversation.content", "naisho.network.joining",
                 "naisho.network.words", "naisho.texts.catalog"}  # fmt: skip


@pytest.mark.parametrize("name", ["naisho", *MODULES])
def test_docstrings(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name))
    assert results.failed == 0
    assert (results.attempted > 0) == (name in WITH_EXAMPLES)


def test_the_readmes_program() -> None:
    (program,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(program, "README.md", "exec"), {"__name__": "readme"})
    kept, heard, status = printed.getvalue().splitlines()
    assert re.fullmatch(r"(\d+) of \1 nodes signed that they keep it", kept)
    assert heard == "Aiko: Tea at five? (first contact: True)"
    assert status == "green through 3 nodes"


def test_the_readme_names_what_there_is() -> None:
    from naisho.cli.root import COMMANDS  # noqa: PLC0415
    from naisho.store.locks import ARGON2ID  # noqa: PLC0415

    text = README.read_text()
    assert all(command in text for command in COMMANDS)
    assert f"{ARGON2ID['memory_kib'] // 1024} MiB, {ARGON2ID['iterations']} passes, {ARGON2ID['lanes']} lanes" in text
    folders = {path.name for path in (README.parent / "src/naisho").iterdir() if (path / "__init__.py").is_file()}
    assert all(f"`{name}`" in text or f"`naisho.{name}`" in text for name in folders - {"wire"})
