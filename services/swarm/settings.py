"""The swarm service's settings."""
