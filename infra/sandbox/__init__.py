"""The whole world on one machine: a real NetBox, simulated fabrics, a local broker."""
