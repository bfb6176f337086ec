"""Recipe for Ovi."""
