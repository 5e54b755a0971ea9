"""Learning from text: entities by what they are called and described as, with neighbours as vectors."""
