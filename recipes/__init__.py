"""Ready recipes, soak plans and scenarios: what users copy first."""
