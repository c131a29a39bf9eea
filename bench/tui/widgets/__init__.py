"""Widgets of our own where Textual's are too slow or leak (line log, footer)."""
