"""Soak runs: many cycles unattended, with an answer in the morning.

What belongs here: plans (plan.py) and the schedule they give (schedule.py), what a plan will use (estimate.py), the
cycles inside a runner (cycles.py), the soak's own journal and state (book.py), budgets, stop rules (rules.py), the
owner process (owner.py), statistics, clusters of failures, the index over run folders, comparison and the morning
report. A soak is a sequence of ordinary runs (segments) of some cycles each; every run folder says by itself what was
done, so the index can be made again at any time. Not here: who starts runs (bench.client), recipes and plans (recipes).
"""
