"""Mailboxes as pure functions: commands in, events out, state folded from events. No I/O."""
