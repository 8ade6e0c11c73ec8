"""The command line. Commands and their libraries are loaded only when they run, so that ``naisho --help`` is quick."""
