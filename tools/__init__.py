"""Tools for people who change fairlead. Not installed."""
