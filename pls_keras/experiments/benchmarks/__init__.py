"""What takes how long, as ratios of times measured in one process."""
