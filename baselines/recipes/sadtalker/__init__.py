"""Recipe for SadTalker."""
