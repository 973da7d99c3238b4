"""The ground floor: the doors to the outside world. It knows nothing of fabrics or syncs."""
