"""Ground that everything stands on: files, locks, caches, seals, names, errors."""
