"""The commands; no logic of their own."""

import gc

# what is imported stays: looking through it for garbage again and again would take a twentieth of the time to start
gc.set_threshold(50_000)
