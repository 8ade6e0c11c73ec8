"""The commands, one module each; every module has ``build(texts)``, which returns its click command."""
