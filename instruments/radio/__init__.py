"""Programs beside the bench that record the radio and the card's contacts: Qualcomm DIAG, Nordic trace, SIMtrace2.

Each runs as a process of its own (scat and QCSuper are GPL: never imported); here are what starts and stops it, what
puts its frames on the time line with both times, and readers of GSMTAP. Measurements by AT commands belong to
``instruments.modem``.
"""
