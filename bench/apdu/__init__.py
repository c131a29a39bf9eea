"""ISO 7816-4 commands, logical channels, STORE DATA chaining and the ES10 client over any card channel.

It holds no transport of its own: readers and modems give the channel.
"""
