-- What is kept of the secrets with which devices prove themselves. Rows of earlier versions have none, and nothing to prove.

-- SHA-256 of the secret of client1, in base64url; NULL: none was handed out.
ALTER TABLE pendings ADD COLUMN secret1 TEXT;
-- 1: client1 has sent its secret, and must from then on.
ALTER TABLE pendings ADD COLUMN proved1 INTEGER NOT NULL DEFAULT 0;

ALTER TABLE rooms ADD COLUMN secret1 TEXT;
ALTER TABLE rooms ADD COLUMN secret2 TEXT;
ALTER TABLE rooms ADD COLUMN proved1 INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rooms ADD COLUMN proved2 INTEGER NOT NULL DEFAULT 0;
