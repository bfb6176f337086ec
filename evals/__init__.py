"""The harness: records what a system streams and scores it; never imports the model."""
