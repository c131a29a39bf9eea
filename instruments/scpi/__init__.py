"""SCPI over PyVISA, shared by its drivers: sessions, parsing, the lean path of the safe process; no brand."""
