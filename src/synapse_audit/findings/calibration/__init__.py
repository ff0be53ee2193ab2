"""How sure the classifier is, and whether rightly so."""
