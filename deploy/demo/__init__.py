"""The told story of `make demo`: the real programs, a live view, a closing table; exit code 0 only if every step held."""
