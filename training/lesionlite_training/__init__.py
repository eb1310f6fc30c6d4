"""lesionlite's training: data, backbones, folds, threshold, models with their contracts."""
