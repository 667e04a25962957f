"""Where Lightning itself is patched or read: safe points, step metrics, learning rate, processes."""
