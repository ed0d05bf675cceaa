"""Per-identity statistics for the models: learned in log order, once per event, never refolded (decision 10)."""
