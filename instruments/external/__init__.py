"""The lab's own eIM and SM-DP+: adapters that order at a server which is there already (``kind = "external"``).

Here and not among the fixtures, which stand in for the outside world: these servers are the outside world, equipment of
the lab as a supply is, and an adapter is their driver. ``rest`` fills in a template (recipes/external_eim.toml explains
it), ``ask`` has a person do it. Nothing here runs a server, knows GSMA messages, or believes one about the card.
"""
