"""Who may call: accounts, their keys, and the signatures that prove them."""
