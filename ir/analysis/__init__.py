"""What can be known of expressions, tensors and programs without running them."""
