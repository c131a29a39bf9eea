"""From a field log to a scenario, its reproduction and its smallest form."""
