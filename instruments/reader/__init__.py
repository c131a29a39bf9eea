"""Ways to the card: through a modem's AT channel or a PC/SC reader."""
