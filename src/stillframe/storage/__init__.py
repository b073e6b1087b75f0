"""Where videos come from and pictures go to: addresses, buckets, signed URLs."""
