"""The onion service's settings."""
