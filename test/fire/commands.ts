/** The commands that change something, as the sweeps need them: something to do, whether it is done, and what then holds. */
import { copyFileSync, existsSync } from 'node:fs';
import path from 'node:path';
import BetterSqlite3 from 'better-sqlite3';
import { expect } from 'vitest';
import { refreshRequest, type Session, sessionOf } from '../../scripts/fire/load.ts';
import type { DatabaseKind } from '../support/databases.ts';
import type { Ground, Served } from './ground.ts';
import { REVOKED, saidOnAllPaths } from './said.ts';

/** Where a sweep is at the moment: its server is started again and again. */
export interface Place {
  readonly ground: Ground;
  served: Served;
}

export interface Task {
  readonly args: readonly string[];
  /** Whether it is done. What is neither done nor undone fails here. */
  isDone(): Promise<boolean>;
  /** What its user does before a server starts again, when it is done. */
  settle?(): void;
  /** What must hold when it was run again. */
  check(): Promise<void>;
}

export interface Command {
  readonly name: string;
  readonly kinds: readonly DatabaseKind[];
  /** The exit code of a second run, when the first had done everything. */
  readonly again: number;
  prepare(place: Place): Promise<Task>;
}

const BOTH = ['sqlite', 'postgres'] as const;

/** A session lives on through all of this. */
async function expectLives({ served }: Place, session: Session): Promise<void> {
  const { status, text } = await served.send(refreshRequest(session, 'a-key'));
  expect({ status, text: status === 200 ? '' : text }).toEqual({ status: 200, text: '' });
  expect((await served.send(refreshRequest(sessionOf(text), 'the-next-key'))).status).toBe(200);
}

const revoke: Command = {
  name: 'revoke',
  kinds: BOTH,
  again: 0,
  async prepare(place) {
    const { ground } = place;
    const [victim, other] = [await place.served.login(), await place.served.login()];
    return {
      args: ['revoke', victim.family, '--yes'],
      async isDone() {
        const [row] = await ground.query<{ revoked_at: number | null }>(
          `select revoked_at from token_families where id = '${victim.family}'`,
        );
        const events = await ground.query(
          `select number from events where type = 'family.revoked' and family_id = '${victim.family}'`,
        );
        const isRevoked = row?.revoked_at !== null;
        expect(events).toHaveLength(isRevoked ? 1 : 0);
        return isRevoked;
      },
      async check() {
        expect(await saidOnAllPaths(place.served, ground.api, victim)).toEqual(REVOKED);
        await expectLives(place, other);
      },
    };
  },
};

interface KeyRow {
  readonly kid: string;
  readonly ring: string;
  readonly state: string;
}

async function activeKey(ground: Ground): Promise<string> {
  const keys = await ground.query<KeyRow>('select kid, ring, state from signing_keys');
  for (const ring of ['access', 'refresh']) {
    const states = keys.filter((key) => key.ring === ring).map(({ state }) => state);
    for (const state of ['active', 'next']) expect(states.filter((one) => one === state)).toHaveLength(1);
  }
  return keys.find((key) => key.ring === 'access' && key.state === 'active')?.kid ?? '';
}

const rotateKeys: Command = {
  name: 'keys rotate',
  kinds: BOTH,
  again: 0,
  async prepare(place) {
    const { ground } = place;
    const session = await place.served.login();
    const before = await activeKey(ground);
    return {
      args: ['keys', 'rotate', '--yes'],
      async isDone() {
        const now = await activeKey(ground);
        const events = await ground.query<{ data: string }>("select data from events where type = 'key.rotated'");
        const told = events.filter(({ data }) => JSON.stringify(data).includes(now));
        expect(told).toHaveLength(1);
        return now !== before;
      },
      check: () => expectLives(place, session),
    };
  },
};

let made = 0;

const rewrap: Command = {
  name: 'keys rewrap',
  kinds: BOTH,
  again: 0,
  async prepare(place) {
    const { ground } = place;
    const session = await place.served.login();
    made += 1;
    const file = `new-${made}.key`;
    const before = await sealedByOne(ground);
    const settle = (): void =>
      copyFileSync(path.join(ground.folder, file), path.join(ground.folder, 'auth-server.key'));
    return {
      args: ['keys', 'rewrap', '--new-key', file],
      isDone: async () => (await sealedByOne(ground)) !== before,
      settle,
      async check() {
        settle();
        await place.served.end('SIGTERM');
        place.served = await ground.start();
        await expectLives(place, session);
      },
    };
  },
};

/** @returns the id of the master key that has sealed all there is */
async function sealedByOne(ground: Ground): Promise<string> {
  const keys = await ground.query<{ sealed: string }>(
    'select sealed_key as sealed from signing_keys where sealed_key is not null',
  );
  const check = await ground.query<{ sealed: string }>(
    "select value as sealed from settings where name = 'master_key_check'",
  );
  expect(check).toHaveLength(1);
  const ids = new Set([...keys, ...check].map(({ sealed }) => sealed.split('.')[1]));
  expect(ids.size).toBe(1);
  return [...ids][0] ?? '';
}

const purge: Command = {
  name: 'purge',
  kinds: BOTH,
  again: 0,
  async prepare(place) {
    const { ground } = place;
    const live = await place.served.login();
    const old = [await place.served.login(), await place.served.login()];
    const ids = old.map(({ family }) => `'${family}'`).join(', ');
    const past = 'created_at = 1, issued_at = 1, last_refreshed_at = 1, expires_at = 2, ends_at = 2';
    await ground.query(`update token_families set ${past} where id in (${ids}) returning id`);
    return {
      args: ['purge'],
      async isDone() {
        const families = await ground.query(`select id from token_families where id in (${ids})`);
        const tokens = await ground.query(`select distinct family_id from refresh_tokens where family_id in (${ids})`);
        expect(tokens).toHaveLength(families.length);
        return families.length === 0;
      },
      check: () => expectLives(place, live),
    };
  },
};

const backup: Command = {
  name: 'backup',
  kinds: ['sqlite'],
  // A backup replaces nothing.
  again: 1,
  async prepare(place) {
    const session = await place.served.login();
    made += 1;
    const name = `copy-${made}.db`;
    const file = path.join(place.ground.folder, name);
    const families = (): unknown => {
      const copy = new BetterSqlite3(file, { readonly: true });
      try {
        expect(copy.pragma('integrity_check')).toEqual([{ integrity_check: 'ok' }]);
        return copy.prepare('select id from token_families where id = ?').all(session.family);
      } finally {
        copy.close();
      }
    };
    return {
      args: ['backup', name],
      async isDone() {
        if (!existsSync(file)) return false;
        expect(families()).toEqual([{ id: session.family }]);
        return true;
      },
      async check() {
        expect(families()).toEqual([{ id: session.family }]);
        await expectLives(place, session);
      },
    };
  },
};

export const COMMANDS: readonly Command[] = [revoke, rotateKeys, rewrap, purge, backup];
