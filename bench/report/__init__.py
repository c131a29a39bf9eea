"""What is derived from a run folder for people and machines: HTML, JUnit XML, JSON.

Everything here reads files of a run folder and nothing else, with the standard library alone, so that a report can be
made again at any time, on another machine, and of a folder that a crash left behind. No instrument, no process and no
clock belongs here; what a run comes to in figures is in ``bench.run``.
"""
