"""When classes count as uneven, to a job that starts and to a report alike."""

# The largest class has more than so many times the images of the smallest.
UNEVEN = 1.5
