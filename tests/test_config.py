"""kgsync.toml: every mistake is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from kgsync.config import Config, LabelConfig
from kgsync.errors import ConfigError

GOOD = """
[connection]
uri = "neo4j://localhost"
[graph]
relations = ["ROAD"]
[graph.labels.City]
key = "id"
text = ["about"]
[split]
valid = 0.2
[train]
model = "distmult"
[predict]
min_score = 1
"""


def config(text: str) -> Config:
    Path("kgsync.toml").write_text(text, encoding="utf-8")
    return Config.load()


def test_without_a_file_the_defaults_hold() -> None:
    assert Config.load() == Config()


def test_what_the_file_says_is_read() -> None:
    loaded = config(GOOD)
    assert loaded.graph.labels == {"City": LabelConfig(key="id", text=("about",))}
    assert (loaded.graph.relations, loaded.split.valid, loaded.train.model) == (("ROAD",), 0.2, "distmult")
    assert loaded.predict.min_score == 1.0
    assert loaded.hash() != Config().hash()
    assert loaded.hash() == config(GOOD).hash()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[connection]\npassword = 'x'", r"unknown key connection.password in kgsync.toml; did you mean password_file"),
        ("[conection]", r"unknown key conection .* did you mean connection\?"),
        ("[split]\nvalid = 'a'", "split.valid in kgsync.toml must be a number"),
        ("[split]\nvalid = true", "split.valid in kgsync.toml must be a number"),
        ("[split]\nvalid = 0.9", "split.valid in kgsync.toml is out of range; make it between"),
        ("[train]\nmodel = 'magic'", "train.model in kgsync.toml must be one of complex"),
        ("[graph.labels.City]", "graph.labels.City.key is missing"),
        ("[graph]\nrelations = 'ROAD'", "graph.relations in kgsync.toml must be a list"),
        ("[graph]\nrelations = [1]", "graph.relations in kgsync.toml must be text"),
        ("split = 3", "split in kgsync.toml must be a table"),
        ("[split\n", "is not valid TOML"),
        ("[write]\nbatch = 1.5", "write.batch in kgsync.toml must be a whole number"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_the_next_step(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        config(text)
    assert "\n" not in str(caught.value)


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="run `kgsync init`"):
        Config.load(tmp_path / "missing.toml")
