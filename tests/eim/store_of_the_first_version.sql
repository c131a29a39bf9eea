-- The eIM's store as its first version made it, with rows: what later versions must open.
CREATE TABLE euiccs (
    eid TEXT PRIMARY KEY,
    created REAL NOT NULL,
    counter INTEGER NOT NULL DEFAULT 0,
    confirmed INTEGER NOT NULL DEFAULT 0,
    token INTEGER,
    last_seq INTEGER NOT NULL DEFAULT 0,
    euicc_certificate BLOB,
    eum_certificate BLOB,
    certificate_source TEXT NOT NULL DEFAULT '',
    features INTEGER,
    state_change TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE orders (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    eid TEXT NOT NULL REFERENCES euiccs (eid),
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    final INTEGER NOT NULL DEFAULT 0,
    parameters TEXT NOT NULL,
    result TEXT NOT NULL DEFAULT '{}',
    error TEXT NOT NULL DEFAULT '{}',
    verified INTEGER NOT NULL DEFAULT 0,
    idempotency_key TEXT UNIQUE,
    created REAL NOT NULL,
    changed REAL NOT NULL,
    expires REAL,
    transaction_id BLOB,
    counter INTEGER,
    package BLOB,
    hand_outs INTEGER NOT NULL DEFAULT 0,
    retries INTEGER NOT NULL DEFAULT 0,
    inquiry BLOB,
    inquiry_transaction_id BLOB,
    inquiries INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX orders_open ON orders (eid, id) WHERE final = 0;
CREATE INDEX orders_expiring ON orders (expires) WHERE final = 0 AND expires IS NOT NULL;
CREATE INDEX orders_of ON orders (eid, id);
CREATE INDEX orders_transaction ON orders (transaction_id);
CREATE INDEX orders_inquiry ON orders (inquiry_transaction_id);
CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    order_id INTEGER REFERENCES orders (id),
    eid TEXT NOT NULL,
    at REAL NOT NULL,
    direction TEXT NOT NULL,
    what TEXT NOT NULL,
    data BLOB NOT NULL
);
CREATE INDEX messages_of ON messages (order_id, eid, id);
CREATE TABLE sessions (
    transaction_id BLOB PRIMARY KEY,
    order_id INTEGER NOT NULL REFERENCES orders (id),
    eid TEXT NOT NULL,
    address TEXT NOT NULL,
    created REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE notifications (
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    eid TEXT NOT NULL,
    order_id INTEGER,
    event TEXT NOT NULL,
    seq INTEGER NOT NULL,
    iccid TEXT NOT NULL,
    address TEXT NOT NULL,
    raw BLOB NOT NULL,
    verified INTEGER NOT NULL,
    problem TEXT NOT NULL,
    received REAL NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt REAL NOT NULL DEFAULT 0,
    last_error TEXT NOT NULL DEFAULT '',
    forwarded REAL
);
CREATE INDEX notifications_of ON notifications (eid, id);
CREATE INDEX notifications_queued ON notifications (next_attempt) WHERE state = 'queued'
;
INSERT INTO euiccs (eid, created, counter, confirmed, token, last_seq) VALUES ('89049032123451234512345678901235', 1.5, 12, 11, 3, 40);
INSERT INTO orders (eid, kind, state, parameters, created, changed) VALUES ('89049032123451234512345678901235', 'list', 'pending', '{}', 2.5, 2.5);
INSERT INTO orders (eid, kind, state, final, parameters, verified, idempotency_key, created, changed, transaction_id, counter, package) VALUES ('89049032123451234512345678901235', 'enable', 'done', 1, '{"iccid": "8900101000000000027", "rollback": false}', 1, 'k', 1.5, 2.0, x'0102', 11, x'bf5100');
INSERT INTO notifications (digest, eid, event, seq, iccid, address, raw, verified, problem, received, state) VALUES (x'00', '89049032123451234512345678901235', 'enable', 39, '8900101000000000027', 'dp.test', x'3000', 1, '', 2.0, 'queued');
PRAGMA user_version = 1;
