"""The run folder: typed journal events, manifest, following a live run, recovery after a crash.

It knows files, not hardware: events.py says what is written, journal.py writes, reader.py reads whatever a crash left,
follow.py waits for more, liveness.py tells a live run from a dead one, unsafe.py marks stations that may be on,
folder.py and index.py name and list runs, summary.py derives result.json and junit.py junit.xml, verdict.py orders
verdicts.
"""
