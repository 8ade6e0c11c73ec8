"""``--set NAME=VALUE``: taken only if a part of the network has such a setting and can read the value.

A part's settings are those of its dataclass, but for addresses, files and secrets: those are the network's to choose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final

import click

from naisho.texts import Texts
from services.chassis.settings import Address, BadValue, Range, Secret, Setting, settings_of

_CHOSEN: Final = (Address, Path, Secret)


@dataclass(frozen=True, slots=True)
class LogServerSettings:
    """What may be wished of the log's server."""

    #: Of its status pages, which know every subject; without it there are none.
    monitor_port: Annotated[int, Range(1, 65_535)] | None = None


class WishedSetting(click.ParamType[tuple[str, str]]):
    """Reads ``onion.rate.burst=900`` as ``("onion.rate.burst", "900")``."""

    name = "setting"

    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def convert(
        self, value: str | tuple[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Return name and value, or fail with what is wrong and which names there are."""
        if isinstance(value, tuple):
            return value
        name, equals, wished = value.partition("=")
        part, dot, key = name.partition(".")
        if not (equals and dot):
            self.fail(self._texts("set.form", given=value), param, ctx)
        parts = settings_by_part()
        if part not in parts:
            self.fail(self._texts("set.part", part=part, name=name, parts=", ".join(sorted(parts))), param, ctx)
        known = {setting.key: setting for setting in parts[part]}
        free = [f"{part}.{key}" for key, setting in known.items() if not chosen(setting)]
        if key not in known:
            nearest = get_close_matches(name, free, n=1, cutoff=0.0)[0]
            self.fail(self._texts("set.name", name=name, nearest=nearest, names=", ".join(free)), param, ctx)
        if chosen(known[key]):
            self.fail(self._texts("set.chosen", name=name, names=", ".join(free)), param, ctx)
        try:
            known[key].read(wished)
        except BadValue as problem:
            self.fail(self._texts("set.value", name=name, problem=problem), param, ctx)
        return name, wished


def settings_by_part() -> Mapping[str, tuple[Setting, ...]]:
    """Return every setting of every part of a network."""
    # Imported here: ``naisho --help`` must not wait for all that the services need.
    from services.onion.settings import OnionSettings  # noqa: PLC0415
    from services.swarm.custodian import CustodySettings  # noqa: PLC0415
    from services.swarm.settings import SwarmSettings  # noqa: PLC0415

    kinds = {"custodian": CustodySettings, "nats": LogServerSettings, "onion": OnionSettings, "swarm": SwarmSettings}
    return {part: tuple(settings_of(kind)) for part, kind in kinds.items()}


def chosen(setting: Setting) -> bool:
    """Tell whether a setting is the network's to choose."""
    return setting.required or setting.plain_kind in _CHOSEN
