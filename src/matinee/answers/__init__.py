"""Answering from tensors alone: one numpy scorer per kind of model, bundles, rules, reasons."""
