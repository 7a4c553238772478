/**
 * What `doctor` says of the database itself: whether it keeps what it has confirmed, lets this program write, and does not
 * wait for ever. It stands apart from the other checks because it is about the product that holds the rows, not about them.
 */
import type { App } from '../app.ts';
import { type Finding, fail, ok, warn } from '../domain/finding.ts';
import { type PostgresHealth, postgresHealth, sqliteHealth, tryWriteLock } from '../store/health.ts';

/** `PRAGMA synchronous`: every commit is on the disk before it is confirmed. */
const FULL = 2;
/** How Postgres says that there is no time-out. */
const NONE = '0';
/** Without it a changed setting waits for the next start. */
const RELOAD = 'select pg_reload_conf()';

/** @param isQuick leaves out what reads a whole SQLite file, seconds for gigabytes. @throws Refusal temporarily_unavailable */
export async function checkDatabase({ store }: App, isQuick: boolean): Promise<readonly Finding[]> {
  if (store.dialect === 'postgres') return judgePostgres(await postgresHealth(store), store.label);
  const { version, journalMode, damage, network } = await sqliteHealth(store, isQuick);
  if (damage.length > 0) {
    const remedy = 'stop the server, keep the file, and restore the last backup: auth-server restore FILE';
    return [fail('database', `${store.label} is damaged: ${damage.join('; ')}`, remedy)];
  }
  const synchronous = await tryWriteLock(store);
  const integrity = isQuick ? 'for its integrity: auth-server doctor' : 'integrity ok';
  const remedy = 'keep the file on a local disk: WAL needs shared memory, which network file systems lack';
  if (journalMode !== 'wal') {
    return [fail('database', `${store.label} is in journal mode ${journalMode}, not WAL`, remedy)];
  }
  if (synchronous < FULL) {
    const message = `${store.label} is written with synchronous ${synchronous}: a power cut forgets what was confirmed`;
    return [fail('database', message, 'use the executable as it was built: it sets synchronous = FULL')];
  }
  const findings = [ok('database', `${store.label}, SQLite ${version}, WAL, synchronous FULL, ${integrity}`)];
  return network === undefined
    ? findings
    : [...findings, warn('file system', `${store.label} is on ${network}, which other machines share`, remedy)];
}

/** Of its settings, as one of our connections has them. */
export function judgePostgres(health: PostgresHealth, label: string): readonly Finding[] {
  const { version, fsync, synchronousCommit, synchronousStandbys, standbys } = health;
  const findings: Finding[] = [];
  if (health.isStandby) {
    findings.push(fail('database', `${label} is a standby: it can only be read`, 'point database.url at the primary'));
  } else if (health.readOnlyTables.length > 0) {
    const tables = health.readOnlyTables.join(', ');
    findings.push(
      fail('database', `${label}: this user may not change ${tables}`, `grant insert, update, delete on ${tables}`),
    );
  } else {
    findings.push(ok('database', `${label}, PostgreSQL ${version}`));
  }
  if (fsync !== 'on' || synchronousCommit === 'off') {
    const message = `fsync ${fsync}, synchronous_commit ${synchronousCommit}: a crash forgets what was confirmed, and spent tokens live again`;
    findings.push(
      fail(
        'durability',
        message,
        `psql: alter system set fsync = on; alter system set synchronous_commit = on; ${RELOAD}`,
      ),
    );
  } else if (health.fullPageWrites !== 'on') {
    const message = 'full_page_writes off: a power cut in the middle of a page damages the database';
    findings.push(warn('durability', message, `psql: alter system set full_page_writes = on; ${RELOAD}`));
  } else {
    findings.push(ok('durability', `fsync on, synchronous_commit ${synchronousCommit}, full_page_writes on`));
  }
  findings.push(judgeTimeouts(health.timeouts));
  if (standbys > 0 && (synchronousStandbys === '' || synchronousCommit === 'local')) {
    const message = `${standbys} standby servers, none synchronous: a failover may lose the last commits`;
    findings.push(
      warn(
        'replication',
        message,
        `psql: alter system set synchronous_standby_names = 'ANY 1 (*)'; ${RELOAD}; or after a failover: auth-server restore --in-place`,
      ),
    );
  } else if (standbys > 0) {
    findings.push(ok('replication', `synchronous (${synchronousStandbys}): a standby takes over without loss`));
  }
  return findings;
}

/** This program asks for them when it connects; a pooler in between may drop what it is asked for. */
function judgeTimeouts(timeouts: PostgresHealth['timeouts']): Finding {
  const name = 'time-outs';
  const { statement_timeout: statement, lock_timeout: lock, idle_in_transaction_session_timeout: idle } = timeouts;
  const missing = [
    ...(statement === NONE ? ['statement_timeout'] : []),
    ...(idle === NONE ? ['idle_in_transaction_session_timeout'] : []),
  ];
  if (missing.length === 0) {
    const locks = lock === NONE ? 'of a lock by that of its statement' : `lock_timeout ${lock}`;
    return ok(name, `statement_timeout ${statement}, idle_in_transaction_session_timeout ${idle}, ${locks}`);
  }
  const message = `${missing.join(' and ')} off, as these connections have it: one that hangs holds its locks for ever`;
  const remedy = missing.map((setting) => `alter role current_user set ${setting} = '5s'`).join('; ');
  return warn(name, message, `psql as this user: ${remedy}; or let the pooler pass startup parameters`);
}
