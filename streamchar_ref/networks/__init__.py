"""Networks: video and audio VAE, prompt encoder, orchestrator with its pointer, joint DiT."""
