"""What a person writes in Python: losses, metrics, activations and layers, differentiated here."""
