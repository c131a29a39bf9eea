"""From a field log to a scenario, its reproduction and its smallest form.

Scenario files (conditions, signature), what a run showed at the level of decoded functions, repetition with rates and
intervals, import of field logs, delta debugging. Runs are started by who calls: a ``Player`` is given in, so that
nothing here owns hardware or processes. What belongs elsewhere: decoding (bench.trace), recipes, simulated worlds.
"""
