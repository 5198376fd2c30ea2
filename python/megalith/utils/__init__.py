"""Graph tools, statistics and profiling."""
