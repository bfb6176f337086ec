"""Ablations of the reference model: rows as data, and what trains and records them.

`rows` is the list; each row changes one field of another one. `plan` finds the stages that rows
share, `grid` trains and records what a folder lacks.
"""
