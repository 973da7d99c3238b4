"""The demonstration: three fabrics, a real NetBox, requests through a broker to the function, and what comes of it."""
