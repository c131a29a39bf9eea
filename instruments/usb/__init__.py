"""USB power: hub ports that switch VBUS, as supplies of 5 V. Not here: USB serial ports of modems and consoles."""
