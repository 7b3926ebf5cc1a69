"""Outliers and near duplicates on frozen features, beside cleanlab's Datalab."""
