"""Importing the package and asking for help load next to nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("httpx", "rich", "sqlcipher3", "cryptography", "nacl", "keyring", "google.protobuf", "segno", "orjson")


def loaded(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules, sep='\\n', file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines())


def test_import_naisho() -> None:
    modules = loaded("import naisho; dir(naisho)")
    assert modules.isdisjoint((*HEAVY, "click", "asyncio"))


@pytest.mark.parametrize("arguments", [["--help"], ["send", "--help"], ["--version"], ["nonsense"]])
def test_help(arguments: list[str]) -> None:
    modules = loaded(f"from naisho.cli.main import run; run({arguments!r}, {{}})")
    assert modules.isdisjoint({*HEAVY, "asyncio"} - {"orjson"})


def test_every_public_name_is_there() -> None:
    import naisho  # noqa: PLC0415

    for name in naisho.__all__:
        assert getattr(naisho, name) is not None
    assert set(naisho.__all__) == set(naisho._HOMES)
    with pytest.raises(AttributeError):
        naisho.Nonsense  # noqa: B018
