"""The way of a request: three nodes, chosen by this device."""
