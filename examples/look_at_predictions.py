"""Look at predictions with pandas and networkx. Reads only: nothing is written into the graph.

Which graph: as in `sync_in_python.py`. Needs `pip install kgsync[pandas]`.
"""

from __future__ import annotations

import networkx

import kgsync


def main() -> None:
    with kgsync.connect() as graph:
        snapshot = graph.pull()
    model = kgsync.train(snapshot, config=graph.config.train)
    plan = model.predict(top_k=20)

    table = plan.to_pandas()
    print(table.groupby("relation")["score"].agg(["count", "mean", "max"]).round(2).to_string())

    # what the graph knows between the two ends of a proposal says a lot about it
    known = networkx.Graph(snapshot.to_networkx())
    for edge in plan.best(5):
        print(f"\n{edge.score:.2f}  {edge.head_name} {edge.relation} {edge.tail_name}")
        if networkx.has_path(known, edge.head, edge.tail):
            path = networkx.shortest_path(known, edge.head, edge.tail)
            print("      known:", " - ".join(known.nodes[entity].get("name", entity.key) for entity in path))


if __name__ == "__main__":
    main()
