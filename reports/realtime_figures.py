"""Figures."""
def write_realtime_figures(results, folder): return []
