"""What is learned from: items, examples, batches."""
