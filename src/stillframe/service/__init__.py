"""The use cases, each for one account, free of any dialect."""
