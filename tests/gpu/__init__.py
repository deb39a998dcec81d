"""What only a GPU can show; `make gpu` runs it, and says in one line where there is none."""
