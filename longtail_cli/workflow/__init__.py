"""The steps of each command, which connect the stages."""
