"""Knowledge-graph embeddings: tensors and integer triples only, no database and no snapshot."""
