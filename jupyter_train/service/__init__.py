"""What a panel may ask, and the kernel's channel that carries it."""
