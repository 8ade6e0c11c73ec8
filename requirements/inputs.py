"""Print every requirement of both distributions, for ``make lock``."""

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

for file in ("services/client/pyproject.toml", "pyproject.toml"):
    data = tomllib.loads((ROOT / file).read_text(encoding="utf-8"))
    wanted = data["project"]["dependencies"] + data.get("dependency-groups", {}).get("dev", [])
    sys.stdout.writelines(f"{requirement}\n" for requirement in wanted if requirement != "naisho")
