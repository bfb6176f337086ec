"""Suites of real faces from published indexes and videos that the user has fetched."""
