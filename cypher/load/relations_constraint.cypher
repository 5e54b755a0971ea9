// promises: a relationship type stands for one relation
CREATE CONSTRAINT kgsync_relation_type IF NOT EXISTS FOR (n:__KgsyncRelation) REQUIRE n.type IS UNIQUE
