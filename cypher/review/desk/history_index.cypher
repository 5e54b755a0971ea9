// promises: creates the index by which the notes about an edge are found, if it is missing
CREATE INDEX kgsync_review_prediction IF NOT EXISTS FOR (n:__KgsyncReview) ON (n.predictionId)
