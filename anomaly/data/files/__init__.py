"""What lies in folders: images, and what is left out with the reason."""
