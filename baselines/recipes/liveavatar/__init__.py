"""Recipe for LiveAvatar."""
