"""The page at ``/``: a form made from the schema, in one file that asks no other host for anything."""
