"""What a metric is, and the versioned protocol that its number carries."""
