"""The image: what it holds, by either way of building it."""
