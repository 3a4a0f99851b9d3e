"""The gateway: one S3 endpoint that writes every object to several places and reads it from the first that has it."""
