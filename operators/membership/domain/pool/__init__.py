"""Node pools: which nodes there should be, which one changes next, and how that is told. Pure."""
