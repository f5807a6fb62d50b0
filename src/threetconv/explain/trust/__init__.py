"""Do explanations depend on what was learned, and do shown channels matter?"""
