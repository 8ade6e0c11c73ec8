"""What the swarm service runs on: the event log, the local store, receipts, membership."""
