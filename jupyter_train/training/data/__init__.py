"""From data of any kind to DataLoaders: tables, splits, sample order, samplers."""
