"""Put the swarm service together."""
