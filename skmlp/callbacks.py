"""Callbacks: what a fit tells of itself, epoch by epoch, by scikit-learn's protocol."""

from .estimators.callbacks import Callback, Checkpoint, EarlyStopping, GradientNorms, TimeLimit

__all__ = ["Callback", "Checkpoint", "EarlyStopping", "GradientNorms", "TimeLimit"]
