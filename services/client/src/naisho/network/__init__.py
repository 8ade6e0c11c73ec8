"""Joining a network and knowing its nodes."""
