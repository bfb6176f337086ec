"""The whole model: configs and presets, its networks together, checkpoints."""
