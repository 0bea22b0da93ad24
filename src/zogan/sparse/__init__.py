"""The mechanism: a dense layer of which a few weights train. Needs torch alone."""
