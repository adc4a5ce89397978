"""What happens by itself while a world lives."""
