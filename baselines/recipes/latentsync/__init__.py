"""Recipe for LatentSync."""
