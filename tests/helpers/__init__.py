"""Nets, images, recordings and servers that several tests share."""
