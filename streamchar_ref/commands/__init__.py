"""The commands of this folder, one file a verb."""

GROUP = "streamchar.commands"
"""Entry points of the verbs."""
