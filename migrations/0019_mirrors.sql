-- Which mirrors there are, the disk says: nothing has written or read this table since mirrors are weighed where they lie.
DROP TABLE mirrors;
