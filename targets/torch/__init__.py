"""The torch target: a program as PyTorch modules to train, and what they stand on."""
