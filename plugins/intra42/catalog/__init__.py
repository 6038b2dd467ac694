"""What is mirrored: one declarative row per resource."""
