-- Which mirrors and workspaces there are, the disk says: nothing writes or reads these tables.
DROP TABLE mirrors;
DROP TABLE workspaces;
