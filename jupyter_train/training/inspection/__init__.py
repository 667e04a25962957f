"""What is found out before a fit: explanation, finders, DataLoader settings."""
