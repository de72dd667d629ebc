"""Outrider's trainer: from raw text to a draft worth publishing. Each stage is a command on folders."""
