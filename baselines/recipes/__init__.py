"""Recipes for published talking-video systems: pinned commit, environment and launcher each."""
