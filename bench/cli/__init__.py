"""The command line: thin, lazily importing, a client of runs."""
