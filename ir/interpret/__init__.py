"""Each level evaluated with NumPy: the oracle of passes, lowerings and the tuner."""
