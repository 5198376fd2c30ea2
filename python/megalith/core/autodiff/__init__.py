"""Gradients by MegEngine's native names."""
