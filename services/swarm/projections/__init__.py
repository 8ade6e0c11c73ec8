"""Read models folded from the log: what they are handed, and how the log is followed."""
