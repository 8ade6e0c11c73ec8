"""The layering contracts can fail: an import planted against each of them is found and named."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]


class Plant(NamedTuple):
    """An import that must not be: module ``importer`` imports module ``imported``."""

    importer: str
    imported: str


PLANTS = {
    "The SDK knows no service": [
        Plant("naisho.store.records", "services.chassis.clock"),
        Plant("naisho.cli.main", "operators.local.command"),
    ],
    "Services meet": [Plant("services.onion.domain.relay", "services.swarm.domain.events")],
    "The chassis knows no service": [Plant("services.chassis.clock", "services.swarm.settings")],
    "Nothing imports the composition root": [Plant("operators.membership.keys", "operators.local.home")],
    "Inside swarm": [
        Plant("services.swarm.bootstrap", "services.swarm.custodian"),
        Plant("services.swarm.api.dispatch", "services.swarm.adapters.drafts"),
        Plant("services.swarm.projections.bulk", "services.swarm.adapters.drafts"),
        Plant("services.swarm.domain.commands", "services.swarm.settings"),
    ],
    "Inside onion": [
        Plant("services.onion.adapters.peers", "services.onion.api.ports"),
        Plant("services.onion.domain.network", "services.onion.adapters.directory"),
        Plant("services.onion.domain.relay", "services.onion.settings"),
    ],
    "Inside membership": [
        Plant("operators.membership.authority", "operators.membership.standalone"),
        Plant("operators.membership.listening", "operators.membership.ledger"),
        Plant("operators.membership.streams", "operators.membership.authority"),
        Plant("operators.membership.domain.life", "operators.membership.record"),
        Plant("operators.membership.kube.cluster", "operators.membership.standalone"),
        Plant("operators.membership.manifests.node", "operators.membership.kube.cluster"),
        Plant("operators.membership.nats_rights", "operators.membership.nats_jwt"),
    ],
    "Nobody imports the cluster's commands": [Plant("operators.local.home", "operators.cluster.names")],
    "The cluster's commands know no engine": [Plant("operators.cluster.status", "operators.local.home")],
    "The load test is a client": [Plant("operators.load.mix", "operators.membership.keys")],
    "Inside the load test": [Plant("operators.load.ledger", "operators.load.running")],
    "Inside the cluster's commands": [Plant("operators.cluster.names", "operators.cluster.kube")],
    "Inside the SDK": [
        Plant("naisho.client", "naisho.cli.main"),
        Plant("naisho.conversation.sending", "naisho.joined"),
        Plant("naisho.paths.keeper", "naisho.swarm.requests"),
        Plant("naisho.network.clock", "naisho.paths.status"),
        Plant("naisho.store.records", "naisho.network.clock"),
        Plant("naisho.protocol.ring", "naisho.errors"),
    ],
    "The SDK's front": [Plant("naisho.events", "naisho")],
    "Domains and the protocol do no I/O": [
        Plant("naisho.protocol.ring", "asyncio"),
        Plant("services.swarm.domain.commands", "sqlite3"),
        Plant("services.onion.domain.relay", "services.chassis.clock"),
        Plant("operators.membership.domain.life", "grpc"),
        Plant("operators.membership.manifests.site", "kr8s"),
    ],
}
UNLISTED = "services/onion/elsewhere.py"


class Tree:
    """A copy of the program's modules, and what the linter says of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        only_modules = shutil.ignore_patterns("__pycache__", "client")
        for package in ("services", "operators"):
            shutil.copytree(ROOT / package, root / package, ignore=only_modules)
        shutil.copytree(ROOT / "services/client/src/naisho", root / "naisho", ignore=only_modules)
        shutil.copy(ROOT / "pyproject.toml", root)

    def plant(self, importer: str, imported: str) -> None:
        path = self.root / importer.replace(".", "/")
        module = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        module.write_text(f"{module.read_text(encoding='utf-8')}\nimport {imported}\n", encoding="utf-8")

    def lint(self) -> str:
        """Return what the linter says, its contracts' names unbroken."""
        done = subprocess.run(
            [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": str(self.root), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    yield Tree(tmp_path / "tree")
    shutil.rmtree(tmp_path / "tree")


def kept(report: str) -> set[str]:
    return {line.removesuffix(" KEPT") for line in report.splitlines() if line.endswith(" KEPT")}


def test_every_contract_has_its_plants() -> None:
    names = [contract["name"] for contract in CONTRACTS]
    assert [[name for name in names if name.startswith(start)] for start in PLANTS] == [[name] for name in names]


def test_what_is_there_keeps_every_contract(tree: Tree) -> None:
    assert kept(tree.lint()) == {contract["name"] for contract in CONTRACTS}


def test_every_planted_import_is_found(tree: Tree) -> None:
    for plants in PLANTS.values():
        for plant in plants:
            tree.plant(*plant)
    report = tree.lint()
    assert not kept(report)
    assert [p for plants in PLANTS.values() for p in plants if f"{p.importer} -> {p.imported} (l." not in report] == []


def test_a_module_without_a_place_is_found(tree: Tree) -> None:
    (tree.root / UNLISTED).write_text('"""A module that no layer names."""\n', encoding="utf-8")
    assert len(kept(tree.lint())) == len(CONTRACTS) - 1
