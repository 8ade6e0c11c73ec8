"""Whole networks for tests and the bench, started as a user would: ``naisho network up``."""

from tests.networks.running import RunningNetwork

__all__ = ["RunningNetwork"]
