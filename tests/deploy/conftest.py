"""Settings of hypothesis for this folder."""

from hypothesis import settings

# Two noisy cores: an example may take longer than hypothesis' 200 ms without anything being wrong.
settings.register_profile("nearside", deadline=None)
settings.load_profile("nearside")
