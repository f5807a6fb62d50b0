"""The explorer: one self-contained page that shows what each channel learned."""
