"""What `experiments/benchmark.py` measures, a module a question, and the loop it compares with."""
