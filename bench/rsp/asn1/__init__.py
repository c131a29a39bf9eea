"""ASN.1 of SGP.22 and SGP.32: our own module text (``*.asn``), its compiled form and the BER/DER runtime.

``schema.py`` is generated from the text by ``python -m bench.rsp.asn1.generate`` and committed; a test compares them.
Users of messages import bench.rsp.codec, not this package.
"""
