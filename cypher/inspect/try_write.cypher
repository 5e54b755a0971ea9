// promises: nothing, as its transaction is always rolled back; it fails where the user may not write
CREATE (n{{label}})
