"""What an analyst opens in Neo4j Browser: a guide, favourites, a style, parameters, and the server that hands them out.

Reads the statements in `cypher/browse/` and `cypher/review/`; promises that the guide and the favourites say what
those files say. No database is needed: what depends on the graph is asked in Browser, by the parameters.
"""

from kgsync.browser.pack import content, write
from kgsync.browser.server import serve

__all__ = ["content", "serve", "write"]
