"""The Textual screens: a client of runs. The only room that imports Textual."""
