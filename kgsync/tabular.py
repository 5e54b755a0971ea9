"""Reports that have rows, as tables: `to_arrow` and `to_pandas`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas
    import pyarrow


class Tabular(ABC):
    """What has rows."""

    @abstractmethod
    def to_arrow(self) -> pyarrow.Table:
        """Return the rows as a table."""

    def to_pandas(self) -> pandas.DataFrame:
        """Return `to_arrow` as a data frame (needs `pip install kgsync[pandas]`)."""
        frame: pandas.DataFrame = self.to_arrow().to_pandas()
        return frame


def table(columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> pyarrow.Table:
    """Return rows as a table, also where there are none; `columns` gives the type of each, such as `string`."""
    import pyarrow

    schema = pyarrow.schema([(name, pyarrow.type_for_alias(kind)) for name, kind in columns.items()])
    return pyarrow.Table.from_pylist(list(rows), schema=schema)
