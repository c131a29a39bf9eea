"""Drivers by kind, each an entry point as a third party's would be. They know the wire, never a simulation."""
