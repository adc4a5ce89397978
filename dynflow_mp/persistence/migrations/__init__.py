"""Changes of the tables from one version to the next. A revision never imports the living tables."""
