"""The controller: recipes, runs, traces and the people's front ends.

It knows no brand of instrument and runs no GSMA server; those are entry points of other packages.
"""
