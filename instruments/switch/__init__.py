"""What rewires the device: SIM switches, relay boards."""
