"""What each command does, in steps that tie the stages together."""
