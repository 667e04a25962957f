"""Training with PyTorch Lightning: the only place that imports torch and pytorch_lightning."""
