"""Judging what a port or a device made of a kit's images, and naming the first wrong stage."""
