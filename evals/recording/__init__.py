"""Recordings: what a system is, how it is recorded, and what lies in a run folder."""
