"""The fast lane: the ordinary message read in one pass over its bytes; it declines everything else."""
