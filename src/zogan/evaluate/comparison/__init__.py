"""Two runs, patches or models on the same test rows."""
