"""What good enough means, written down before training: its rows, its freeze, what changed, the looks."""
