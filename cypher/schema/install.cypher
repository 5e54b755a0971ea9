// promises: creates the constraints and indexes that kgsync's writing rests on, where they are missing
CREATE CONSTRAINT kgsync_prediction_id IF NOT EXISTS FOR ()-[e:PREDICTED]-() REQUIRE e.id IS UNIQUE;
CREATE INDEX kgsync_prediction_run IF NOT EXISTS FOR ()-[e:PREDICTED]-() ON (e.runId);
CREATE CONSTRAINT kgsync_run_id IF NOT EXISTS FOR (n:__KgsyncRun) REQUIRE n.id IS UNIQUE;
CREATE CONSTRAINT kgsync_model_id IF NOT EXISTS FOR (n:__KgsyncModel) REQUIRE n.id IS UNIQUE;
CREATE CONSTRAINT kgsync_batch_number IF NOT EXISTS FOR (n:__KgsyncBatch) REQUIRE (n.runId, n.n) IS UNIQUE;
CREATE CONSTRAINT kgsync_evidence_of IF NOT EXISTS FOR (n:__KgsyncEvidence) REQUIRE (n.predictionId, n.runId) IS UNIQUE;
CREATE CONSTRAINT kgsync_lock_name IF NOT EXISTS FOR (n:__KgsyncLock) REQUIRE n.name IS UNIQUE;
