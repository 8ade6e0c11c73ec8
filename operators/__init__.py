"""What runs a naisho network: membership, and the local composition root."""
