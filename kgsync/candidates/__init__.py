"""Which edges may be proposed, how they are found, and which of them were hidden: the ground under every score."""
