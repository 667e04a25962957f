"""A run's curves in `metrics.db`, standard library only.

`appender` writes points and `reader` reads them; `blocks` packs both and builds the pyramid of buckets, from which
`downsampling` draws a series of any length. `rewind` begins another attempt, `verified_blobs` replaces what is damaged.
"""
