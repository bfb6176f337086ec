"""Latents of pictures and of sound; both decoders give the same output however they are fed."""
