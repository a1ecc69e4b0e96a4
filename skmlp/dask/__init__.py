"""Fits on rows that are spread over the workers of a Dask cluster: `pip install 'skmlp[dask]'`."""

from .estimators import DaskMLPClassifier, DaskMLPRegressor

__all__ = ["DaskMLPClassifier", "DaskMLPRegressor"]
