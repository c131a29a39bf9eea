"""Start, follow and control runs: what the command line and the TUI share. It owns no hardware."""
