"""The seconds that the threat model states are those of the settings as they come."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from services.chassis.settings import HOUR
from services.swarm.adapters.runtime import RuntimeSettings
from services.swarm.custodian import CustodySettings
from services.swarm.projections import projection
from services.swarm.settings import StoreSettings, SwarmSettings

THREAT_MODEL = (Path(__file__).parents[2] / "docs" / "threat-model.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.*) \| (.*) \| (.*) \|$", THREAT_MODEL, re.MULTILINE)


def default(kind: type, name: str) -> float:
    (field,) = (field for field in fields(kind) if field.name == name)
    assert isinstance(field.default, int | float)
    return field.default


def stated(what: str, where: str) -> str:
    (found,) = (row[2] for row in ROWS if row[0].strip() == what and where in row[1])
    return str(found)


def test_what_leaves_the_nodes_files_leaves_them_in_the_stated_time() -> None:
    overwrite, sweep = StoreSettings().overwrite_within, StoreSettings().sweep
    clocks, look = projection._GRACE_MS / 1000, default(SwarmSettings, "log_check")
    assert (RuntimeSettings().overwrite_within_s, RuntimeSettings().sweep_s) == (overwrite, sweep)
    assert stated("a deleted message", "files").startswith(f"{overwrite:g} s ")
    expired = stated("an expired message", "files")
    assert expired.startswith(f"{clocks + look + sweep + overwrite:g} s ")
    assert [float(part) for part in re.findall(r"[:,] (\d+) ", expired)] == [clocks, look, sweep, overwrite]
    assert stated("the key that opens it in the log", "files").startswith(f"{sweep + overwrite:g} s ")


def test_what_leaves_the_log_leaves_it_in_the_stated_time() -> None:
    grace, a_look = default(CustodySettings, "key_grace"), 1.0
    assert "20 are erased a second" in THREAT_MODEL
    assert default(CustodySettings, "per_second") == 20
    assert f"{grace + a_look:g} s after its period has ended" in THREAT_MODEL
    assert default(CustodySettings, "key_period") == default(SwarmSettings, "key_period") == HOUR
    assert f"an hour and {grace + a_look:g} seconds" in THREAT_MODEL
