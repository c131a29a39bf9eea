"""Consoles of the device under test: lines on serial ports. What a line means is bench.toml's, not theirs."""
