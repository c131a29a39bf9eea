"""Soak plans: many cycles unattended, resume, stop rules, statistics."""
