"""Systems under test: ground truth, floors, negative controls and wrappers."""
