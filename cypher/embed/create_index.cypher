// promises: the nodes of a label can be searched by their vectors. Denser and built with more care than the server's defaults, and not
//   quantised: vectors that were padded to one length are harder to search than others (recall@10 0.98 instead of 0.92 on the sample graph)
// parameters: $dimension, $similarity
CREATE VECTOR INDEX {{name}} IF NOT EXISTS FOR (n:{{label}}) ON n.kgsyncVector
OPTIONS {indexConfig: {
  `vector.dimensions`: $dimension, `vector.similarity_function`: $similarity,
  `vector.hnsw.m`: 64, `vector.hnsw.ef_construction`: 400, `vector.quantization.enabled`: false
}}
