"""What is around an entity, known and predicted, told apart: as a picture, a page, or a file for other tools."""
