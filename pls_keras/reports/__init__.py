"""Kept results in, tables and figures out. Nothing here trains."""

from pls_keras._extras import require

require("plots", "matplotlib")
