"""Build hook: the SDK's wire types are generated before it is packed or installed in place."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ProtoBuildHook(BuildHookInterface[Any]):
    """Generate ``naisho.wire``."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Run before hatchling collects files."""
        del version, build_data
        sys.path.insert(0, str(Path(self.root).parent.parent))
        import build_protos  # noqa: PLC0415

        build_protos.generate(services=False)
