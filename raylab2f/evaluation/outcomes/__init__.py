"""What decisions came to: outcomes per fold, metrics, means, what shortcuts would have claimed."""
