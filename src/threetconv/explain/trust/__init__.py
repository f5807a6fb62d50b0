"""Checks of explanations: do they depend on what was learned, and do the shown channels matter?"""
