"""The deployment of the whole: one file of settings, the order of the stacks, and what is there already."""

import local as local  # puts the layer on the path: a policy is checked with the code that applies it


class DeployFailed(Exception):
    """The run cannot go on; the words say why and what to do."""
