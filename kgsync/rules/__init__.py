"""Rules with support and confidence: the cheap third voice, which says why. Knows no database and no snapshot."""
