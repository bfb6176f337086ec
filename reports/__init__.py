"""Files to tables, figures and a page; computes no metric."""
