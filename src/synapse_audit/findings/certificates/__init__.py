"""What no change within a budget can do."""
