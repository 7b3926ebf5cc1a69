"""Which labels are wrong, from evidence that has not seen them: numpy alone, no network, no run."""
