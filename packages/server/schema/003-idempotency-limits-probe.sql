-- First outcomes kept for their Idempotency-Key, where a pending came from, and a row that readiness probes write.

-- Outcomes of requests that may come again.
CREATE TABLE idempotency (
  key         TEXT     NOT NULL PRIMARY KEY, -- Idempotency-Key as the client sent it
  fingerprint TEXT     NOT NULL,             -- SHA-256 of method, route and body: another request with this key is refused
  outcome     TEXT     NOT NULL,             -- what the operation came to, as JSON; the answer is made from it again
  exp         DATETIME NOT NULL              -- until when it is kept: UTC, ISO 8601, milliseconds
) WITHOUT ROWID;
CREATE INDEX idx_idempotency_exp ON idempotency (exp);

-- Where the pending was created: HMAC of the client address under a key that each start of the server replaces, so
-- that it can be counted while the pending lives and means nothing to anyone else.
ALTER TABLE pendings ADD COLUMN origin TEXT;
CREATE INDEX idx_pendings_origin ON pendings (origin) WHERE origin IS NOT NULL;

-- One row, written to see whether the database can be written.
CREATE TABLE probe (
  id INTEGER  NOT NULL PRIMARY KEY CHECK (id = 1),
  at DATETIME NOT NULL -- when it was last probed: UTC, ISO 8601
);
