"""Recordings: the system interface, recording its streams, and the layout of a run folder."""
