"""Every container's command starts in the environment of the image, and says what it lacks."""

from __future__ import annotations

import importlib.metadata
import json
import re
from pathlib import Path

import pytest

from tests.cluster import recipe
from tests.cluster.lock import BUILD_TOOLS, ROOT, normal, subset
from tests.image.conftest import Installed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]  # the first fills the cache, maybe on a busy machine

DECISION = ROOT / "docs" / "adr" / "0014-on-kubernetes.md"
#: Exit code of a service whose settings cannot be used.
SETTINGS = 2

#: Imports every module of ours, and says which could not be.
IMPORT_ALL = """
import importlib, json, pkgutil, sys
failed = {}
seen = 0
for top in ("naisho", "services", "operators"):
    package = importlib.import_module(top)
    for module in pkgutil.walk_packages(package.__path__, top + "."):
        if module.name.endswith(".__main__"):
            continue
        seen += 1
        try:
            importlib.import_module(module.name)
        except Exception as error:
            failed[module.name] = repr(error)
json.dump({"seen": seen, "failed": failed}, sys.stdout)
"""


def commands(text: str) -> list[list[str]]:
    """Return the commands of a decision's table of containers."""
    table = text[text.index("### Containers") :]
    rows = re.findall(r"^\| `[a-z]+` \| `([^`]+)` \|$", table[: table.index("\n### ")], re.MULTILINE)
    return [row.split() for row in rows]


MODULES = [
    *(command[2] for command in commands(DECISION.read_text(encoding="utf-8")) if command[:2] == ["python", "-m"]),
    "operators.membership",
]


def test_the_table_names_the_containers() -> None:
    assert {"services.onion", "services.swarm", "services.swarm.custodian", "operators.membership.kube"} <= set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_a_service_without_settings_says_so_and_ends(installed: Installed, tmp_path: Path, module: str) -> None:
    run = installed.run(["python", "-m", module], tmp_path)
    assert "Error" not in run.stderr
    assert run.returncode == SETTINGS, run.stderr
    # Either settings in variables that are missing, or a file of settings that was not named.
    assert re.search(r"settings|usage", run.stdout + run.stderr, re.IGNORECASE)


def test_a_module_that_is_not_there_would_be_noticed(installed: Installed, tmp_path: Path) -> None:
    run = installed.run(["python", "-m", "services.absent"], tmp_path)
    assert run.returncode != SETTINGS
    assert "Error" in run.stderr or "No module named" in run.stderr


def test_the_command_line_answers(installed: Installed, tmp_path: Path) -> None:
    assert installed.run(["naisho", "--version"], tmp_path).stdout.startswith("naisho ")
    shown = installed.run(list(recipe.COMMAND), tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "network" in shown.stdout  # a command of the other distribution, found by its entry point


def test_nats_server_answers(installed: Installed, tmp_path: Path) -> None:
    run = installed.run(["nats-server", "--version"], tmp_path)
    assert run.returncode == 0
    assert re.match(r"nats-server: v2\.\d+", run.stdout)


def test_every_module_of_ours_can_be_imported(installed: Installed, tmp_path: Path) -> None:
    """Nothing that was left out as surplus is needed by what we import."""
    run = installed.run(["python", "-c", IMPORT_ALL], tmp_path)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["failed"] == {}
    assert found["seen"] > 100


def test_what_is_installed_is_what_the_lock_says(installed: Installed) -> None:
    distributions = importlib.metadata.distributions(path=[str(installed.modules)])
    found = {normal(each.name): each.version for each in distributions}
    own = {"naisho", "naisho-network"}
    assert own <= found.keys()
    locked = {entry.name: entry.version for entry in subset("run")}
    assert not found.keys() - locked.keys() - own
    for name in found.keys() - own:
        assert found[name] == locked[name]
    left_out = locked.keys() - found.keys()  # those of another system
    assert all(";" in entry.text.splitlines()[0] for entry in subset("run") if entry.name in left_out)
    assert not BUILD_TOOLS & found.keys()


def test_programs_are_ours_and_name_the_images_interpreter(installed: Installed) -> None:
    found = {path.name for path in installed.programs.iterdir()}
    assert {"naisho", "nats-server", "python"} <= found <= recipe.PROGRAMS
    assert (installed.programs / "naisho").read_bytes().startswith(f"#!{recipe.PREFIX}/bin/python\n".encode())


def test_bytecode_is_there_for_every_module_and_needs_no_times(installed: Installed) -> None:
    sources = [path for path in installed.modules.rglob("*.py") if path.parent.name != "__pycache__"]
    assert len(sources) > 1000
    for source in sources:
        compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-311.pyc"
        assert compiled.exists(), source
        flags = int.from_bytes(compiled.read_bytes()[4:8], "little")
        assert flags == 0b01, source  # by hash, not checked


def test_nothing_of_the_working_directory_is_imported(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "__init__.py").write_text("raise SystemExit('planted')\n")
    command = ["python", "-m", "services.onion"]
    assert installed.run(command, tmp_path).returncode == SETTINGS
    unsafe = {name: value for name, value in recipe.ENVIRONMENT.items() if name != "PYTHONSAFEPATH"}
    assert "planted" in installed.run(command, tmp_path, unsafe).stderr


@pytest.mark.parametrize("suffix", [".pyi", ".pyx", ".c", ".h"])
def test_nothing_that_only_compilers_read_is_in(installed: Installed, suffix: str) -> None:
    assert not list(installed.modules.rglob(f"*{suffix}"))


def test_no_trace_of_this_machine_is_in(installed: Installed) -> None:
    here = str(ROOT).encode()
    assert not [path for path in installed.modules.rglob("*.py") if here in path.read_bytes()]
    assert not [path for path in installed.modules.rglob("*.pyc") if here in path.read_bytes()]
    assert not list(installed.modules.rglob("direct_url.json"))
