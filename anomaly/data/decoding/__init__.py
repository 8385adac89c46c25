"""From bytes to pixels as a person sees them: each format by what its file declares, or refused by name."""
