"""A lean client of the NATS protocol: what the event log and the core messages between nodes run on."""
