"""Onion requests (wire 5): layers, framing, routing, packets of a path, replies, and payloads to servers."""
