"""The benchmark queue: suites of runs, one result file for each, tables and pictures made of these files alone."""
