"""Everything that talks to AWS; the only place, beside `local/`, that may import an AWS SDK."""
