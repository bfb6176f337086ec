"""Measurements on a machine that is there for minutes: prepared, bounded, kept as they come."""
