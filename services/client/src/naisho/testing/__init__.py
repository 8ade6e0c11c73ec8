"""A network in memory, for tests of what is built on the SDK.

`FakeNetwork` takes the place of sockets below a `Client`; its nodes open real onion layers and sign real receipts, and
can be told to misbehave. It is no model of the real nodes' storage: for that, start a network (`naisho network up`).
"""

from naisho.testing.network import FakeNetwork, Fault

__all__ = ["FakeNetwork", "Fault"]
