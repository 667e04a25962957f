"""The functions behind the magics: same names, same defaults."""
