"""The Jupyter Server extension: runs over REST, behind the server's own login. Needs no torch."""
