"""What every kind of training shares: batches, figures by epoch or round, checkpoints, the loop, models at rest."""
