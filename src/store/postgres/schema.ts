/**
 * Tables and functions of the store, made when they are not there. Another form gets other names. `space` is
 * `storage.prefix`: several Posterns may share a database.
 */

/** Made last: when it is there, everything is. */
export const LAST_OBJECT = 'postern_write_1(text, bigint, bigint, text, text, bigint, jsonb)'

/** So much longer than they live: our clocks and the server's need not agree to the second. */
const SWEEP_SLACK_MS = 60_000

/**
 * What happens in one step. All writers of a space wait for its row in `postern_spaces`, so that changes become visible in
 * the order of their numbers. These are the server's time in microseconds, or one more than the one before, or than any
 * that we know: so they go on when the database is restored from an older state. NULL: the guard did not hold; 0 in the
 * place of a deletion of nothing. OR REPLACE: whoever waited while another made it may still remember that it is not there.
 */
const WRITE = `
CREATE OR REPLACE FUNCTION postern_write_1(
  p_space text, p_now bigint, p_known bigint, p_guard_table text, p_guard_id text, p_guard_version bigint, p_changes jsonb
) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
  step jsonb;
  last_number bigint;
  number bigint;
  held bigint;
  expiry bigint;
  numbers bigint[] := '{}';
BEGIN
  INSERT INTO postern_spaces VALUES (p_space, 0) ON CONFLICT DO NOTHING;
  SELECT newest INTO last_number FROM postern_spaces WHERE space = p_space FOR UPDATE;
  IF p_guard_id IS NOT NULL THEN
    SELECT version, expires_at INTO held, expiry FROM postern_records
      WHERE space = p_space AND kind = p_guard_table AND id = p_guard_id;
    IF NOT FOUND OR (expiry <> 0 AND expiry <= p_now) THEN held := 0; END IF;
    IF held <> p_guard_version THEN RETURN NULL; END IF;
  END IF;
  FOR step IN SELECT value FROM jsonb_array_elements(p_changes) WITH ORDINALITY ORDER BY ordinality LOOP
    number := greatest((extract(epoch FROM clock_timestamp()) * 1000000)::bigint, last_number + 1, p_known + 1);
    IF step->>'o' = 'put' THEN
      INSERT INTO postern_records VALUES (
        p_space, step->>'t', step->>'i', number, (step->>'e')::bigint, step->>'x', step->>'s',
        clock_timestamp() + ((step->>'l')::bigint + ${SWEEP_SLACK_MS}) * interval '1 millisecond'
      ) ON CONFLICT (space, kind, id) DO UPDATE SET
        version = excluded.version, expires_at = excluded.expires_at, idx = excluded.idx, sealed = excluded.sealed,
        sweep_at = excluded.sweep_at;
    ELSE
      DELETE FROM postern_records WHERE space = p_space AND kind = step->>'t' AND id = step->>'i';
      IF NOT FOUND THEN
        numbers := numbers || 0::bigint;
        CONTINUE;
      END IF;
    END IF;
    INSERT INTO postern_changes VALUES (p_space, number, last_number, step->>'o', step->>'t', step->>'k');
    numbers := numbers || number;
    last_number := number;
  END LOOP;
  UPDATE postern_spaces SET newest = last_number WHERE space = p_space;
  PERFORM pg_notify('postern', p_space);
  RETURN numbers;
END $$
`

/** `idx` of a record without one is ''. Texts are compared by their bytes. */
export const SCHEMA: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS postern_spaces (space text COLLATE "C" PRIMARY KEY, newest bigint NOT NULL)`,
  `CREATE TABLE IF NOT EXISTS postern_records (
    space text COLLATE "C", kind text COLLATE "C", id text COLLATE "C", version bigint NOT NULL,
    expires_at bigint NOT NULL, idx text COLLATE "C" NOT NULL, sealed text NOT NULL, sweep_at timestamptz,
    PRIMARY KEY (space, kind, id))`,
  `CREATE INDEX IF NOT EXISTS postern_records_idx ON postern_records (space, kind, idx, id)`,
  `CREATE INDEX IF NOT EXISTS postern_records_due ON postern_records (sweep_at) WHERE sweep_at IS NOT NULL`,
  `CREATE TABLE IF NOT EXISTS postern_changes (
    space text COLLATE "C", number bigint, previous bigint NOT NULL, change text NOT NULL, kind text NOT NULL,
    sealed_key text NOT NULL, PRIMARY KEY (space, number))`,
  `CREATE TABLE IF NOT EXISTS postern_leases (
    space text COLLATE "C", name text COLLATE "C", holder text NOT NULL, until timestamptz NOT NULL,
    PRIMARY KEY (space, name))`,
  WRITE,
]
