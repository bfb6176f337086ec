"""Distillation of the many-step teacher into a few-step student."""
