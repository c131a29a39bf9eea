"""Recipes as the user writes them, and the supervisor and runner processes that execute them."""
