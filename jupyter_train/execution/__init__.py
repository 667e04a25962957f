"""Where a run is carried out: in the kernel, blocking."""
