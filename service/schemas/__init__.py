"""What requests may ask and what answers hold, one file for each subject. `/docs` is made from these."""
