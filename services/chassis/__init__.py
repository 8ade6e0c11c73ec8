"""How a process of ours lives: settings, lifecycle, telemetry, event log, packed streams. No domain word."""
