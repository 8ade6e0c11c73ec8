"""Membership as pure functions: no input or output, no waiting, the same answer for the same question."""
