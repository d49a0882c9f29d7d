"""Search: the settings with which a model learns a task best, for the same budget each."""
