"""Pictures out of video; a library in its own right that imports nothing of ours but errors."""
