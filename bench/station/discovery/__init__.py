"""What is connected to this host, found without being told: ports, readers, supplies, relay boards, simulated worlds.

Here belongs looking and proposing a bench.toml. Nothing here switches anything, opens a port that another program
holds, or scans a network unasked; drivers and brands belong to ``instruments`` (entry-point group ``bench.discovery``).
"""
