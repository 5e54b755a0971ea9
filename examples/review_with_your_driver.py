"""Use your own driver, accept the best proposal, see what that makes in the graph, and take it back.

Needs NEO4J_URI, NEO4J_USERNAME and NEO4J_PASSWORD.
"""

from __future__ import annotations

import os

import neo4j

import kgsync

ACCEPTED = """
MATCH (h)-[r {kgsyncPredictionId: $id}]->(t)
RETURN coalesce(h.name, h.id) AS head, type(r) AS relation, coalesce(t.name, t.id) AS tail, r.kgsyncRunId AS run
"""


def main() -> None:
    auth = (os.environ["NEO4J_USERNAME"], os.environ["NEO4J_PASSWORD"])
    with (
        neo4j.GraphDatabase.driver(os.environ["NEO4J_URI"], auth=auth) as driver,
        kgsync.connect(driver=driver) as graph,
    ):
        model = kgsync.train(graph.pull(), config=graph.config.train)
        graph.write(model.predict(top_k=20))
        graph.validate()

        [best] = graph.proposals(limit=1)
        print(f"Best: {best.score:.2f}  {best.head.name} {best.relation} {best.tail.name}")
        accepted = graph.accept([best.id], by="example", reason="to show how it is done")
        print(f"Accepted: {accepted.done}")
        for record in driver.execute_query(ACCEPTED, id=best.id, database_=graph.connection.database).records:
            print("In the graph:", record["head"], record["relation"], record["tail"], "from run", record["run"])
        undone = graph.undo([best.id], by="example")
        print(f"Taken back: {undone.done}")


if __name__ == "__main__":
    main()
