"""The upper floor: what this system does with fabrics."""
