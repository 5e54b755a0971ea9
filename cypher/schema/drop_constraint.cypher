// promises: drops one constraint, if it is there
DROP CONSTRAINT {{name}} IF EXISTS
