"""What other charms tell this one, as frozen values, and what it tells them; one module per concern."""
