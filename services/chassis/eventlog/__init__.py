"""The event log: a port and its two adapters, memory and JetStream."""
