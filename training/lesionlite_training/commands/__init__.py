"""The command files: each parses, calls one function and renders; none computes."""
