"""Statistics of a few seeds, one subject a file: functions of numbers alone, most of them scipy's."""
