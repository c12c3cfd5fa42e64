-- Device ids with a NUL become BLOBs, because the SQLite binding cuts text at a NUL.
UPDATE pendings SET client1 = CAST(client1 AS BLOB) WHERE instr(client1, char(0)) > 0;
UPDATE pendings SET client2 = CAST(client2 AS BLOB) WHERE instr(client2, char(0)) > 0;
UPDATE rooms SET client1 = CAST(client1 AS BLOB) WHERE instr(client1, char(0)) > 0;
UPDATE rooms SET client2 = CAST(client2 AS BLOB) WHERE instr(client2, char(0)) > 0;
