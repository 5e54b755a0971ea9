"""A whole sync in Python: pull, train, predict, write, validate.

Which graph: NEO4J_URI, NEO4J_USERNAME and NEO4J_PASSWORD, or the local server of `kgsync up`. Which part of it:
`kgsync.toml` in the folder where you run this. Running it again writes no edge.
"""

from __future__ import annotations

import kgsync


def main() -> None:
    with kgsync.connect() as graph:
        snapshot = graph.pull()
        # kept in the workspace, `.kgsync`, and not trained again for the same snapshot
        model = kgsync.train(snapshot, config=graph.config.train, folder=graph.workspace.models)
        plan = model.predict(top_k=20)
        for edge in plan.best(5):
            print(f"{edge.score:.2f}  {edge.head_name} {edge.relation} {edge.tail_name}")

        written = graph.write(plan)
        print(f"{written.created} edges created, {written.updated} updated, {written.unchanged} unchanged.")
        validation = graph.validate()
        print(f"{validation.quarantined} of them are quarantined.")
        print(f"Take it back with `kgsync rollback {written.run_id} --yes`.")


if __name__ == "__main__":
    main()
