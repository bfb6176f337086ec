"""Recipe for Wav2Lip."""
