"""What the system costs, measured as ratios: `make bench`, or `python -m bench --help`."""
