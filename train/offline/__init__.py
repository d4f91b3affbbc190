"""Training on an air-gapped machine: data built there, pictures drawn there, weights carried back in parts."""
