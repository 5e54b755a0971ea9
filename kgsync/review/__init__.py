"""Review of predicted edges by people: what to look at next, what an edge looks like, and the page that shows it."""
