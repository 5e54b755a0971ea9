"""Explanation: why an edge is predicted, in numbered facts, and in sentences that say nothing but these facts."""
