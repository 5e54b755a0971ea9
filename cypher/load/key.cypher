// promises: makes a property unique within a label; does nothing if a constraint does that already
CREATE CONSTRAINT {{name}}IF NOT EXISTS FOR (n:{{label}}) REQUIRE n.{{key}} IS UNIQUE
