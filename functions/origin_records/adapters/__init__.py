"""What talks to the world for this function."""
