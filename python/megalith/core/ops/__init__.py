"""Ops as objects."""
