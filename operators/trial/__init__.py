"""Two accounts that talk, to see whether a network works: what a demonstration and a test of an installation share."""
