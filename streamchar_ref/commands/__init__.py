"""The commands of this folder, one file a verb."""

GROUP = "streamchar.commands"
"""Entry points of the verbs."""
COMPLETE = "_STREAMCHAR_COMPLETE"
"""Environment variable in which a shell hands over the line up to the cursor to complete it."""
