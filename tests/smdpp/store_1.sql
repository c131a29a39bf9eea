-- A store of the SM-DP+ as schema 1 left it (sqlite3's .dump), for the test that it still opens.
BEGIN TRANSACTION;
CREATE TABLE history (
    order_id INTEGER NOT NULL REFERENCES orders (id),
    at REAL NOT NULL,
    state TEXT NOT NULL,
    why TEXT NOT NULL
) STRICT;
INSERT INTO "history" VALUES(1,1.79528919734130954746e+09,'released','ordered');
INSERT INTO "history" VALUES(2,1.79528919734168791767e+09,'released','ordered');
INSERT INTO "history" VALUES(2,1.79528919734220051762e+09,'downloaded','bound');
INSERT INTO "history" VALUES(2,1.79528919734278297418e+09,'installed','notification 1');
INSERT INTO "history" VALUES(3,1.79528919734359288214e+09,'released','ordered');
INSERT INTO "history" VALUES(3,1.79528919734403777123e+09,'unavailable','cancelled');
INSERT INTO "history" VALUES(4,1.79528919734433579447e+09,'released','ordered');
INSERT INTO "history" VALUES(4,1.79528919734488296507e+09,'downloaded','bound');
INSERT INTO "history" VALUES(4,1.79528919734537506102e+09,'error','notification 2: x');
CREATE TABLE notifications (
    id INTEGER PRIMARY KEY,
    order_id INTEGER REFERENCES orders (id),
    digest TEXT NOT NULL UNIQUE,
    at REAL NOT NULL,
    eid TEXT NOT NULL,
    iccid TEXT NOT NULL,
    event TEXT NOT NULL,
    seq INTEGER NOT NULL,
    result TEXT NOT NULL,
    rejected TEXT NOT NULL DEFAULT '',
    raw BLOB NOT NULL
) STRICT;
INSERT INTO "notifications" VALUES(1,2,'n1',1.0,'89049032123451234512345678901235','8900101000000000019','install',1,'installed','',X'');
CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    matching_id TEXT NOT NULL,
    iccid TEXT NOT NULL,
    package TEXT NOT NULL,
    digest TEXT NOT NULL REFERENCES packages (digest),
    metadata BLOB NOT NULL,
    state TEXT NOT NULL,
    profile_state TEXT NOT NULL DEFAULT '',
    eid TEXT NOT NULL DEFAULT '',
    bound_eid TEXT NOT NULL DEFAULT '',
    code_digest BLOB,
    code_attempts INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL,
    rebinding TEXT NOT NULL,
    retry INTEGER NOT NULL DEFAULT 0,
    expires REAL,
    created REAL NOT NULL,
    reissued INTEGER NOT NULL DEFAULT 0,
    superseded_by INTEGER REFERENCES orders (id),
    euicc_otpk BLOB,
    bpp BLOB,
    install_seq INTEGER,
    error TEXT NOT NULL DEFAULT ''
) STRICT;
INSERT INTO "orders" VALUES(1,'RELEASED','8900101000000000027','operational','d1',X'BF2500','released','','','',NULL,0,0,5,'allow',0,NULL,1.79528919734117364879e+09,0,NULL,NULL,NULL,NULL,'');
INSERT INTO "orders" VALUES(2,'INSTALLED','8900101000000000019','operational','d1',X'BF2500','installed','installed','','89049032123451234512345678901235',NULL,0,1,5,'allow',0,NULL,1.79528919734165620797e+09,0,NULL,NULL,NULL,1,'');
INSERT INTO "orders" VALUES(3,'CANCELLED','8900101000000001009','operational','d1',X'BF2500','unavailable','','','',NULL,0,0,5,'allow',0,NULL,1.79528919734354639055e+09,0,NULL,NULL,NULL,NULL,'');
INSERT INTO "orders" VALUES(4,'FAILED','8900101000000001017','operational','d1',X'BF2500','error','','','',NULL,0,1,5,'allow',1,NULL,1.79528919734429717063e+09,0,NULL,NULL,NULL,NULL,'x');
CREATE TABLE packages (
    digest TEXT PRIMARY KEY,
    der BLOB NOT NULL
) STRICT;
INSERT INTO "packages" VALUES('d1',X'A003800102');
CREATE TABLE transactions (
    transaction_id BLOB PRIMARY KEY,
    order_id INTEGER NOT NULL REFERENCES orders (id),
    eid TEXT NOT NULL,
    certificate BLOB NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "transactions" VALUES(X'01010101010101010101010101010101',2,'89049032123451234512345678901235',X'3000');
CREATE INDEX orders_matching ON orders (matching_id, id);
CREATE INDEX orders_iccid ON orders (iccid, id);
CREATE INDEX orders_eid ON orders (eid, id);
CREATE INDEX orders_open ON orders (iccid) WHERE (state IN ('allocated', 'linked', 'confirmed', 'released', 'downloaded') OR (state = 'error' AND retry = 1));
CREATE INDEX orders_waiting ON orders (eid) WHERE (state IN ('allocated', 'linked', 'confirmed', 'released', 'downloaded') OR (state = 'error' AND retry = 1));
CREATE INDEX orders_on_card ON orders (iccid) WHERE state = 'installed' AND profile_state <> 'deleted';
CREATE INDEX history_order ON history (order_id);
CREATE INDEX notifications_order ON notifications (order_id);
COMMIT;
PRAGMA user_version = 1;
