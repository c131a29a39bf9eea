"""What leaves the lab: one archive of runs for one recipient, without the identifiers that are in them.

Here belong finding identifiers in a run folder, their pseudonyms, replacing them in every encoding, and the check that
none is left. It reads run folders and traces; it knows no instrument and sends nothing anywhere.
"""
