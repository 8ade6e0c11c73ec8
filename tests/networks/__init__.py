"""Whole networks for tests and the bench, started as a user would: ``naisho network up``."""

from tests.networks.running import RunningNetwork, wait_until_gone
from tests.networks.tls import anonymous_tls

__all__ = ["RunningNetwork", "anonymous_tls", "wait_until_gone"]
