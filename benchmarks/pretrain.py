"""What a small language model learns from the text of the sample graph: ten-way questions about hidden edges.

    python benchmarks/pretrain.py [--model decoder] [--minutes 8] [--permuted] [--threads 1]

Before and after reading, beside the perplexity on other text (the reference of the Python language). With --permuted
the names are shuffled among entities of the same type first: what the model knew about the world does not count then.
Writes `results/pretrain-KIND.json` (`pretrain-KIND-permuted.json`).
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import replace

import numpy as np
import torch
from results import save

from kgsync import sample, triple_files
from kgsync.benchmark import peak_memory_mb
from kgsync.identity import Entity
from kgsync.lm.pretrain import Moment
from kgsync.lm.pretrain_config import PretrainConfig
from kgsync.lm.teach import teach
from kgsync.snapshot import Snapshot, entity_table, sorted_unique
from kgsync.triple_files import BadLine

EntityRow = tuple[Entity, list[str], str | None, str | None]


def main() -> None:
    arguments = parsed()
    torch.set_num_threads(arguments.threads)
    snapshot = permuted(sampled()) if arguments.permuted else sampled()
    config = PretrainConfig(time_budget=60 * arguments.minutes, questions=arguments.questions)
    chosen = {"learning_rate": arguments.rate, "encoder_learning_rate": arguments.rate} if arguments.rate else {}
    config = replace(config, **chosen)
    taught = teach(snapshot, arguments.model, config=config, seen=lambda moment: line(moment))
    result = taught.to_dict(snapshot.relations) | {
        "permuted": arguments.permuted,
        "threads": arguments.threads,
        "peak_memory_mb": round(peak_memory_mb()),
    }
    before, after = taught.pretrained.before, taught.pretrained.after
    print(f"accuracy of {taught.questions} questions: {before.accuracy:.3f} before, {after.accuracy:.3f} after")
    print(f"{taught.pretrained.tokens:,} tokens, kept {taught.pretrained.kept}: {taught.pretrained.stopped}")
    name = f"pretrain-{taught.kind}{'-permuted' if arguments.permuted else ''}"
    if arguments.save:
        print(save(name, result))


def sampled() -> Snapshot:
    """Return the sample graph as a snapshot, as if it had been pulled."""
    folder = sample.folder()
    lines = {line.id: line for line in triple_files.read_entities(folder / "entities.tsv", refuse)}
    relations = list(triple_files.read_relations(folder / "relations.tsv", refuse))
    ids = sorted(lines)
    rows = {name: row for row, name in enumerate(ids)}
    types = tuple(sorted(relation.id for relation in relations))
    triples = [
        (rows[line.head], types.index(line.relation), rows[line.tail])
        for line in triple_files.read_triples(folder / "triples.tsv", refuse)
    ]
    entities: list[EntityRow] = [
        (Entity(lines[i].types[0], "id", i), list(lines[i].types), lines[i].name, lines[i].description) for i in ids
    ]
    return Snapshot(
        entities=entity_table(entities),
        relations=types,
        triples=sorted_unique(triples),
        rejected=sorted_unique([]),
        key_properties={entity[0].label: "id" for entity in entities},
        relation_names={relation.id: relation.name for relation in relations},
    )


def permuted(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot with names shuffled among entities of the same types, and without descriptions."""
    alike: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row, labels in enumerate(snapshot.entities["labels"].to_pylist()):
        alike[tuple(labels)].append(row)
    names = snapshot.entities["name"].to_pylist()
    shuffled = list(names)
    rng = np.random.default_rng(0)
    for rows in alike.values():
        for row, other in zip(rows, rng.permutation(rows).tolist(), strict=True):
            shuffled[row] = names[other]
    identities = snapshot.identities
    labels = snapshot.entities["labels"].to_pylist()
    entities: list[EntityRow] = [(identities[row], labels[row], shuffled[row], None) for row in range(len(names))]
    return replace(snapshot, entities=entity_table(entities))


def line(moment: Moment) -> None:
    print(moment, flush=True)


def refuse(bad: BadLine) -> None:
    raise SystemExit(str(bad))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="decoder", help="`decoder`, `encoder` or a model folder")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--questions", type=int, default=400)
    parser.add_argument("--rate", type=float, default=0.0, help="learning rate; 0: the default")
    parser.add_argument("--permuted", action="store_true", help="shuffle names within their types")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--save", action=argparse.BooleanOptionalAction, default=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
