// promises: no vectors count as complete any more
MATCH (m:__KgsyncModel)
REMOVE m.embeddedAt
