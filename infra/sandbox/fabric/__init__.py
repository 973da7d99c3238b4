"""Simulated fabrics: HTTPS servers that answer as a Kubernetes API server does for the Hedgehog kinds."""
