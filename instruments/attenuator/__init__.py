"""Step attenuators between emulator and device."""
