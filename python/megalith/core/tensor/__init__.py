"""What MegEngine scripts reach for under ``megengine.core.tensor``; no public API."""
