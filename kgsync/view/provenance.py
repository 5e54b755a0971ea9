"""Where an edge comes from, in the names of Biolink and PROV-O, so that other tools know what a model has made up.

Edges in the graph stay slim; what is the same for a whole run stands on its node, and comes back here for each edge.
https://biolink.github.io/biolink-model/ (knowledge_level, agent_type), https://www.w3.org/TR/prov-o/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kgsync.view.neighbourhood import Edge

SOURCE = "infores:kgsync"  # the form that Biolink gives to sources
_LEVELS = {"known": "not_provided", "accepted": "knowledge_assertion", "predicted": "prediction"}
_AGENTS = {
    "known": "not_provided",
    "accepted": "manual_validation_of_automated_agent",
    "predicted": "computational_model",
}
_STATED = ("knowledge_level", "agent_type", "primary_knowledge_source")  # that a known edge may state itself


def provenance(edge: Edge, runs: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the names with their values; what is not known is left out."""
    own = edge.properties
    stated = {"knowledge_level": _LEVELS[edge.kind], "agent_type": _AGENTS[edge.kind]}
    if edge.kind == "known":
        return stated | {name: str(own[name]) for name in _STATED if own.get(name) is not None}
    run_id = own.get("runId") or own.get("kgsyncRunId")
    run = runs.get(run_id or "", {})
    found = {
        "primary_knowledge_source": SOURCE,
        "wasGeneratedBy": run_id,
        "wasAttributedTo": own.get("modelId") or own.get("kgsyncModelId") or run.get("model"),
        "wasDerivedFrom": run.get("snapshot"),
        "generatedAtTime": own.get("createdAt") or run.get("startedAt"),
    }
    return stated | {name: _text(value) for name, value in found.items() if value is not None}


def _text(value: Any) -> str:
    return str(value.iso_format()) if hasattr(value, "iso_format") else str(value)  # a date and time of the driver
