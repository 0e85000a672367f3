"""CIFAR-10: data, models and training, with any norm."""
