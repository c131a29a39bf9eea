"""Stations: bench.toml, the interfaces of instruments and services, locks, the safe sequence, the clock.

It says what an instrument is; it drives none.
"""
