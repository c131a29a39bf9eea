"""Remote SIM provisioning on the wire (GSMA SGP.22 and SGP.32): bytes to values and back.

Here belong ASN.1, TLV, certificates, BSP, signatures and eUICC packages as pure functions shared by card, IPA, eIM,
SM-DP+ and decoder. No I/O, no state of a server, no APDU.
"""
