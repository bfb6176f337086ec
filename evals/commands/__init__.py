"""The commands of this folder, one file a verb."""
