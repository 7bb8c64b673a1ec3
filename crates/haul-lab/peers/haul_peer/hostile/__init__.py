"""Peers that do what they should not: each differs from an honest one in the one thing that its
name says."""
