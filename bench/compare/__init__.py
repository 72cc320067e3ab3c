"""lanewise beside its peers: `python -m bench.compare`."""
