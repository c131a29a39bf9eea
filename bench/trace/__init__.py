"""The trace of a run: pcapng lanes written block by block, repaired, read and decoded.

No instrument and no run folder logic belongs here.
"""
