"""From runs to rows: replicates folded, intervals, tests, ranks, fronts.

Knows no words, no pictures and no torch.
"""
