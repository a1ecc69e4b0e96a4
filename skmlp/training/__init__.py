"""theta moves: objective, solvers, loops, states and checkpoints; no scikit-learn, no estimator."""
