"""Which pixels make a channel respond?"""
