"""Emergency sampling of a district: ordered by two persons, for a term; what it changes is data (`presets.toml`)."""
