"""What requests may ask and what answers hold, a file a subject. `/docs` is made from these."""
