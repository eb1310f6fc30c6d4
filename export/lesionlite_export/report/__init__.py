"""A verification as one page that needs nothing but itself."""
