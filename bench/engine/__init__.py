"""Recipes as the user writes them, and the processes that execute them (DESIGN.md sections 3 and 5).

What a recipe sees: recipe.py (declaration and finding), parameters.py and units.py, station.py, steps.py, verdicts.py,
https.py. The supervisor: supervisor.py with watch.py (patience), preparation.py, control.py (its socket), takeover.py
(kill, make safe, end what is left), aftermath.py (finish the record). The runner: runner.py, session.py (one run),
equipment.py (services and instruments), leash.py (its link to the supervisor), observations.py, ending.py. Both:
order.py, link.py, spawn.py. Drivers, locks and the safe program belong to bench.station, files to bench.run; who
starts and follows runs is bench.client.
"""
