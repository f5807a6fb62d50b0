"""The explorer: one self-contained page in which a person looks at what each channel learned."""
