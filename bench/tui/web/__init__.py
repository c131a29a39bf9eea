"""The screens in a browser: textual-serve behind a token, and a SAFE button that needs no terminal."""
