// promises: read-only; the numbers of relationships of several types, from the count store
// columns: counts (a list, in the order of the types)
RETURN [{{counts}}] AS counts
