"""What one camera's darkness is: dark models, how they are fitted, kept and measured."""
