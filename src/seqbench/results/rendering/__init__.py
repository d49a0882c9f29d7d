"""One comparison, or any table, in a format: terminal, Markdown, LaTeX, CSV, JSON."""
