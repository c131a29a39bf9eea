"""Helpers of the world's tests."""
