"""The simulated bench as foreign programs see it: none of our drivers, clients or decoders takes part."""
