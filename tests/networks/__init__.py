"""Whole networks for tests and the bench, started as a user would: ``naisho network up``."""

from tests.networks.running import RunningNetwork, wait_until_gone

__all__ = ["RunningNetwork", "wait_until_gone"]
