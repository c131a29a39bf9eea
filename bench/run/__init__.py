"""The run folder: typed journal events, manifest, following a live run, recovery after a crash.

It knows files, not hardware.
"""
