/** Raised with every change of the tables; older files are then changed step by step in `database.ts`. */
export const schemaVersion = 1;

/** Times are ms since the epoch. `id` of a ban is fail2ban's failure id; `net` columns hold canonical networks. */
export const schema = `
CREATE TABLE agent (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  epoch TEXT NOT NULL,
  next_sequence INTEGER NOT NULL
) STRICT;

CREATE TABLE positions (
  source TEXT PRIMARY KEY,
  acknowledged TEXT,
  seen TEXT,
  saved_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE in_flight (
  sequence INTEGER PRIMARY KEY,
  payload BLOB NOT NULL,
  positions TEXT NOT NULL
) STRICT;

CREATE TABLE bans (
  jail TEXT NOT NULL,
  id TEXT NOT NULL,
  net TEXT,
  ports TEXT,
  start_ms INTEGER NOT NULL,
  until_ms INTEGER,
  earlier_bans INTEGER NOT NULL,
  lines TEXT NOT NULL,
  PRIMARY KEY (jail, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX bans_by_until ON bans (until_ms);

CREATE TABLE ban_history (
  id TEXT NOT NULL,
  jail TEXT NOT NULL,
  bans INTEGER NOT NULL,
  start_ms INTEGER NOT NULL,
  ban_time_ms INTEGER,
  forget_ms INTEGER,
  PRIMARY KEY (id, jail)
) STRICT, WITHOUT ROWID;
CREATE INDEX ban_history_by_forget ON ban_history (forget_ms);

CREATE TABLE order_scopes (
  scope TEXT PRIMARY KEY,
  epoch TEXT NOT NULL,
  revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE orders (
  scope TEXT NOT NULL,
  kind TEXT NOT NULL,
  id INTEGER NOT NULL,
  net TEXT NOT NULL,
  until_ms INTEGER,
  ports TEXT,
  level INTEGER,
  PRIMARY KEY (scope, kind, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX orders_by_until ON orders (until_ms);
`;

/** What came later and older agents can do without: an agent that goes back a version must still open the file. */
export const additions = `
CREATE TABLE IF NOT EXISTS spool (
  id INTEGER PRIMARY KEY,
  row_count INTEGER NOT NULL,
  kept_ms INTEGER NOT NULL,
  content BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS observe_word (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  observe INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  at_ms INTEGER NOT NULL
) STRICT;
`;
