"""Recipe for LTX-2."""
