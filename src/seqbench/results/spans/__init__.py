"""The longest span that each model learns, from the runs at many spans: numbers, tables, figure."""
