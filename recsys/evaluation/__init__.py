"""Evaluation: metrics, significance, the models side by side, and the report."""
