"""Where a run trains: in the kernel, or in a process of its own; how it is resumed, forked, cross-validated."""
