"""Programmable power supplies."""
