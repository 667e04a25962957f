"""What a fit logs: metrics, images, console lines, resources."""
