"""What MegEngine scripts reach for under ``megengine.core``; no public API."""
