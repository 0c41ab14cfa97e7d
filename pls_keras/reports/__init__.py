"""Kept results in, tables and figures out. Nothing here trains."""
