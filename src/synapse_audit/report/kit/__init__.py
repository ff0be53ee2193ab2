"""What every section is made with: page, figures, tables, numbers in words."""
