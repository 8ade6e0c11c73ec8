"""Put the onion service together."""
