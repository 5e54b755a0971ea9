// promises: drops one index, if it is there
DROP INDEX {{name}} IF EXISTS
