"""The longest span that a model learns: a staircase of spans, runs at each, and the curve through them."""
