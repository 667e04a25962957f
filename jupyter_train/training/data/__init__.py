"""What may be given as data, made into loaders: tables, splits, order, samplers."""
