"""How much damage each space allows, by the size of what is changed."""
