"""Run this service as its own process."""
