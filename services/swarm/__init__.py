"""Mailboxes kept by an event log: one swarm's accounts, stored, listed, expired and deleted."""
