"""What the suites share: real servers, databases and a browser, as fixtures."""
