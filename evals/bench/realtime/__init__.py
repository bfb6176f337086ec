"""Streaming in real time: systems and concurrent streams, timed by the harness's clock."""
