"""What an operator does to a deployment's data: upgrade, collect garbage, copy."""
