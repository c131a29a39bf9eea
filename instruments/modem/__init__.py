"""Cellular modems behind an AT port."""
