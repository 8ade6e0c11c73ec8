from __future__ import annotations

from services.chassis.telemetry import Metrics
from services.swarm import instruments as table


def test_the_tables_of_instruments_are_sound() -> None:
    for name, instruments in (("swarm", table.INSTRUMENTS), ("custodian", table.CUSTODY)):
        metrics = Metrics(name, 0, instruments)
        assert all(instrument.help.endswith(".") for instrument in instruments)
        metrics.close()
