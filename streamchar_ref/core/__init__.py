"""Utilities below everything else: files, locks, the cache, checksums, validation, errors."""
