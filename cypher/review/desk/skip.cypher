// promises: keeps a note that a reviewer left an edge for later
// parameters: id, by, reason
// columns: none
CREATE (:__KgsyncReview {predictionId: $id, action: 'skip', by: $by, reason: $reason, at: datetime()})
