"""A study before and around its run: validated, sized, estimated, given folders."""
