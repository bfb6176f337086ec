"""Systems under test: ground truth, floors, known-bad rows and wrappers, one file each."""
