"""Distillation of the guided teacher into a student of few steps without guidance."""
