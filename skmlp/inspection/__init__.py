"""Seeing and explaining: pictures of what a network learned, and why it answers as it does.

Pictures follow scikit-learn's displays: a class method such as `from_estimator` computes and
draws, `plot` draws again, and `figure_`, `ax_` (or `axes_`) and the artists are attributes. They
are drawn with matplotlib: `pip install 'skmlp[plot]'`. Explanations are exact, since networks are
differentiated, and take what pipelines make of X back to its columns.
"""

from .activation import ActivationDisplay
from .explanations import Attributions, input_gradients, integrated_gradients
from .features import HiddenFeaturesDisplay
from .graph_drawing import ComputationGraphDisplay
from .history import GradientFlowDisplay, TrainingHistoryDisplay
from .importance import ImportanceDisplay
from .importances import WithImportances, feature_importances, importances_on
from .uncertainty import PredictiveDistributionDisplay, UncertaintyCalibrationDisplay

__all__ = [
    "ActivationDisplay",
    "Attributions",
    "ComputationGraphDisplay",
    "GradientFlowDisplay",
    "HiddenFeaturesDisplay",
    "ImportanceDisplay",
    "PredictiveDistributionDisplay",
    "TrainingHistoryDisplay",
    "UncertaintyCalibrationDisplay",
    "WithImportances",
    "feature_importances",
    "importances_on",
    "input_gradients",
    "integrated_gradients",
]
