"""The domain of `nearside.cache`: entries, their validation and their downloads; nothing here talks to a network."""
