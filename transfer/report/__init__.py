"""From rows to findings in words, figures, Markdown, one HTML page and tables for programs.

Knows no torch.
"""
