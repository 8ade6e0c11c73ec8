"""Speed and memory beside the ceilings of their parts. Run with ``make bench``."""
