/**
 * Looks at a database and all that belongs to it, and says what to do about each finding. Every check stands for itself: one
 * that fails, or cannot be made, does not keep the others from being made. Nothing is changed.
 */
import type { App } from '../app.ts';
import { type Finding, fail, ok, warn } from '../domain/finding.ts';
import { shortKid } from '../domain/ids.ts';
import type { KeyRingName } from '../domain/signing-key.ts';
import { EARLIEST, MINUTE, SECOND, toRfc3339 } from '../domain/time.ts';
import { Refusal } from '../refusal.ts';
import { listClients } from '../store/clients.ts';
import { listKeysInUse, postgresHealth, youngestTime } from '../store/health.ts';
import { schemaStatus } from '../store/migrate.ts';
import { findSetting } from '../store/settings.ts';
import { listKeys } from '../store/signing-keys.ts';
import { countRevocable } from '../store/token-families.ts';
import { listUsers } from '../store/users.ts';
import { checkDatabase } from './doctor-database.ts';
import { materialOf } from './key-ring.ts';
import { nameOf } from './master-key.ts';
import { checkReceivers, checkWorker } from './worker-watch.ts';

/** What a check that could not be made says. */
export function failure(name: string, error: unknown): Finding {
  if (error instanceof Refusal) return fail(name, error.description, error.remedy ?? causeOf(error));
  return fail(
    name,
    error instanceof Error ? `${error.name}: ${error.message}` : 'an unknown fault',
    'please report it',
  );
}

/** The code is of a driver or the system, and safe to show; its message may not be. */
function causeOf({ cause }: Refusal): string {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : undefined;
  return code === undefined ? 'try again' : `look at the database: it said ${code}`;
}

interface Check {
  readonly name: string;
  readonly run: (app: App) => Promise<Finding | readonly Finding[]>;
}

const CHECKS: readonly Check[] = [
  { name: 'master key', run: checkMasterKey },
  { name: 'access keys', run: (app) => checkRing(app, 'access') },
  { name: 'refresh keys', run: (app) => checkRing(app, 'refresh') },
  { name: 'key coverage', run: checkCoverage },
  { name: 'clock', run: checkClock },
  { name: 'users', run: checkUsers },
  { name: 'clients', run: checkClients },
  { name: 'worker', run: checkWorker },
  { name: 'receivers', run: checkReceivers },
];

export interface ExamineOptions {
  /** Nobody configured the issuer: it follows from where the server listens. */
  readonly isDefault: boolean;
  /** Leaves out what reads a whole SQLite file, seconds for gigabytes. */
  readonly isQuick?: boolean;
}

/**
 * In the order of the checks. Never throws: that a check failed is its finding. Where the schema is not up to date, only
 * the database and the schema are looked at.
 */
export async function examine(app: App, { isDefault, isQuick = false }: ExamineOptions): Promise<readonly Finding[]> {
  const database = await attempt(app, { name: 'database', run: (one) => checkDatabase(one, isQuick) });
  const schema = await attempt(app, { name: 'schema', run: checkSchema });
  const findings = [...database, ...schema];
  // Without its tables there is nothing else to ask the database.
  if (schema.some(({ status }) => status !== 'ok')) return findings;
  findings.push(...(await attempt(app, { name: 'stored issuer', run: () => checkIssuer(app, isDefault) })));
  for (const check of CHECKS) findings.push(...(await attempt(app, check)));
  return findings;
}

async function attempt(app: App, { name, run }: Check): Promise<readonly Finding[]> {
  try {
    const found = await run(app);
    return 'name' in found ? [found] : found;
  } catch (error) {
    return [failure(name, error)];
  }
}

async function checkSchema({ store }: App): Promise<Finding> {
  const { current, latest, pending } = await schemaStatus(store);
  if (pending.length === 0) return ok('schema', `${current}, up to date`);
  const message = `schema ${current}, needs ${latest}: ${pending.join(', ')}`;
  return store.dialect === 'sqlite'
    ? warn('schema', message, 'auth-server migrate up; serve does it too')
    : fail('schema', message, 'auth-server migrate up');
}

async function checkIssuer({ store, config }: App, isDefault: boolean): Promise<Finding> {
  const stored = await store.read((db) => findSetting(db, 'issuer'));
  if (stored === undefined) return ok('stored issuer', 'none yet: the first serve keeps its issuer');
  if (stored === config.issuer) return ok('stored issuer', 'the same as in the configuration');
  const message = `every token was issued as ${stored}; as ${config.issuer} every session ends`;
  // Whoever started the server with a flag has another default than this command.
  return isDefault
    ? warn('stored issuer', message, `set issuer to ${stored}`)
    : fail('stored issuer', message, `set issuer back to ${stored}`);
}

async function checkMasterKey(app: App): Promise<Finding> {
  const { keys, check } = await app.store.read(async (db) => ({
    keys: await listKeys(db),
    check: await findSetting(db, 'master_key_check'),
  }));
  // Opening it would bind this database to a key that nothing was sealed by.
  if (keys.length === 0 && check === undefined) return ok('master key', 'no keys yet: serve makes them');
  const master = await app.master();
  const sealed = keys.filter((key) => key.sealedKey !== null);
  const closed = sealed.filter((key) => {
    try {
      return materialOf(key, master, app.instance) === '';
    } catch {
      return true;
    }
  });
  const label = nameOf(app.config.masterKey);
  if (closed.length === 0) {
    return ok('master key', `${label} opens ${sealed.length} of ${sealed.length} keys; keep a copy elsewhere`);
  }
  const kids = closed.map((key) => `${shortKid(key.kid)} (${key.ring}, ${key.state})`).join(', ');
  return fail(
    'master key',
    `${label} does not open ${kids}: the rows were changed`,
    'auth-server keys rotate replaces an active or next key',
  );
}

async function checkRing({ store }: App, ring: KeyRingName): Promise<Finding> {
  const name = `${ring} keys`;
  const ours = (await store.read(listKeys)).filter((key) => key.ring === ring);
  if (ours.length === 0) return warn(name, 'none yet', 'auth-server serve makes them');
  const active = ours.find((key) => key.state === 'active');
  if (active === undefined)
    return fail(name, 'none is active: nothing can be signed', `auth-server keys rotate --ring ${ring}`);
  const next = ours.find((key) => key.state === 'next');
  const message = `${shortKid(active.kid)} is active (${active.alg})`;
  if (next === undefined) return warn(name, `${message}, none is next`, 'auth-server serve makes one; keep it running');
  return ok(name, `${message}, ${shortKid(next.kid)} is next`);
}

/** A refresh token can only be judged by the key that signed it. */
async function checkCoverage(app: App): Promise<Finding> {
  return app.store.read(async (db) => {
    const known = new Set(
      (await listKeys(db)).filter((key) => key.ring === 'refresh' && key.sealedKey !== null).map((key) => key.kid),
    );
    let lost = 0;
    for (const kid of await listKeysInUse(db)) {
      if (!known.has(kid)) lost += await countRevocable(db, { kid }, app.clock.now());
    }
    if (lost === 0) return ok('key coverage', 'the key of every live session is here');
    return fail(
      'key coverage',
      `the keys of ${lost} live sessions are gone: they cannot be refreshed`,
      'those users log in again',
    );
  });
}

const CLOCK = { remedy: 'timedatectl set-ntp true', tolerated: 2 * SECOND, broken: MINUTE } as const;

async function checkClock(app: App): Promise<Finding> {
  const now = app.clock.now();
  if (now < EARLIEST) return fail('clock', `it says ${toRfc3339(now)}`, CLOCK.remedy);
  if (app.store.dialect === 'postgres') return compareClocks(app);
  const youngest = await app.store.read(youngestTime);
  if (youngest === null || youngest <= now + CLOCK.tolerated) return ok('clock', toRfc3339(now));
  const message = `the database has seen ${toRfc3339(youngest)}, the clock says ${toRfc3339(now)}: it went back`;
  return warn('clock', message, CLOCK.remedy);
}

/** Decisions go by the database's clock, but lifetimes of access tokens are judged by each server's. */
async function compareClocks(app: App): Promise<Finding> {
  if (app.store.dialect !== 'postgres') throw new Error('there is no second clock');
  const start = app.clock.now();
  const { now } = await postgresHealth(app.store);
  const end = app.clock.now();
  // The answer was made some time between question and answer.
  const distance = Math.max(0, now - end, start - now);
  if (distance <= CLOCK.tolerated) return ok('clock', `${toRfc3339(end)}, as Postgres has it`);
  const message = `${Math.round(distance / SECOND)}s ${now > end ? 'behind' : 'ahead of'} Postgres`;
  return distance > CLOCK.broken ? fail('clock', message, CLOCK.remedy) : warn('clock', message, CLOCK.remedy);
}

async function checkUsers({ config, store }: App): Promise<Finding> {
  if (config.users.directory === 'http') return ok('users', 'they live in your user service');
  const [first] = await store.read((db) => listUsers(db, 1));
  return first === undefined
    ? warn('users', 'none yet: nobody can log in', 'auth-server users add NAME')
    : ok('users', 'in the local directory');
}

async function checkClients({ store }: App): Promise<Finding> {
  const clients = await store.read(listClients);
  const servers = clients.filter((client) => client.type === 'resource-server');
  if (servers.length === 0) {
    return warn(
      'clients',
      'no resource server: nobody can verify tokens here',
      'auth-server clients add ID --type resource-server',
    );
  }
  return ok('clients', `${clients.length}, of them resource servers: ${servers.length}`);
}
