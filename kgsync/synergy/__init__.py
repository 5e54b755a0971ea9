"""Whether voices know more together, and more for having taught each other: measured on one graph, never assumed."""
