"""Where a run is carried out: in the kernel, or in a process of its own."""
