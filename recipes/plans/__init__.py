"""Soak plans (TOML) with the recipes made for them: the full cycle, and the baseline that every cycle starts from."""
